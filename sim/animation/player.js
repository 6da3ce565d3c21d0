"use strict";
const film = JSON.parse(document.querySelector("#film").textContent);
const { rows, cols, frames, product, parts, words, pes } = film;
const PE = 64, SLOT = 28, CELL = 38, MOST_CELLS = 144;
// Okabe and Ito, Color Universal Design, 2008: neighbouring steps differ for the colour-blind, too.
const TINTS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"]; // every second one is pale: seen in grey too;
const SPACE = "http://www.w3.org/2000/svg";

function add(parent, name, attributes, text) {
  const drawn = name === "svg" || parent.namespaceURI === SPACE;
  const made = drawn ? document.createElementNS(SPACE, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}
const word = (svg, x, y, class_, text) => add(svg, "text", { x, y, class: class_ }, text);

// Controls.
const player = document.querySelector("#player");
const bar = add(player, "div", { class: "controls" });
const button = (label, text, act) => {
  const made = add(bar, "button", { type: "button", "aria-label": label, title: label }, text);
  made.addEventListener("click", act);
  return made;
};
button("first cycle", "|◀", () => seek(0, true));
button("step back", "◀", () => seek(now - 1, true));
const play = button("play", "▶ play", () => toggle());
play.id = "play";
button("step", "▶|", () => seek(now + 1, true)).id = "step";
const scrub = add(bar, "input", { type: "range", min: 0, max: frames.length - 1, value: 0, "aria-label": "cycle" });
scrub.addEventListener("input", () => seek(Number(scrub.value), true));
const count = add(bar, "span", { class: "count", id: "count" });
const speed = add(bar, "select", { "aria-label": "cycles a second" });
for (const rate of [1, 2, 4, 8, 16]) add(speed, "option", { value: rate }, rate + " cycles/s");
speed.value = "2";
const phase = add(player, "p", { class: "phase", id: "phase", "aria-live": "off" });

// The array, the registers before it, the product.
const lanes = (which) => Math.max(0, ...frames[0][which].map((lane) => lane.length));
const left = lanes("l") * SLOT, top_ = lanes("o") * 22;
const x0 = Math.max(left, 0) + 16, y0 = top_ + 26;
const shown = product[0] * product[1] <= MOST_CELLS;
const x1 = x0 + cols * PE + 46;
const width = x1 + Math.max(shown ? product[1] * CELL : 0, 250) + 8;
const height = Math.max(y0 + rows * PE + 26, shown ? 40 + product[0] * 24 + 150 : 190);
const stage = add(player, "div", { class: "stage" });
const svg = add(stage, "svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": "the array" });
if (top_) word(svg, x0 + cols * PE / 2, 14, "soft", words[1] + "s enter");
if (left) word(svg, 4, y0 - 8, "soft start", words[0] + "s enter");
function slots(which, place) {
  return frames[0][which].map((lane, index) => lane.map((_, depth) => {
    const [x, y] = place(index, depth);
    add(svg, "rect", { x: x + 2, y: y + 2, width: SLOT - 4, height: 18, class: "slot" });
    const tint = add(svg, "rect", { x: x + 2, y: y + 2, width: SLOT - 4, height: 18, class: "tint useful", visibility: "hidden" });
    return [tint, word(svg, x + SLOT / 2, y + 16, "small", "")];
  }));
}
const leftSlots = slots("l", (row, depth) => [x0 - (depth + 1) * SLOT, y0 + row * PE + 4]);
const topSlots = slots("o", (col, depth) => [x0 + (col + 1) * PE - SLOT - 2, y0 - (depth + 1) * 22]);
const cells = [];
for (let row = 0; row < rows; row++) for (let col = 0; col < cols; col++) {
  const x = x0 + col * PE, y = y0 + row * PE;
  const box = add(svg, "rect", { x: x + 2, y: y + 2, width: PE - 4, height: PE - 4, rx: 5, class: "pe" });
  const tint = add(svg, "rect", { x: x + 2, y: y + 2, width: PE - 4, height: PE - 4, rx: 5, class: "tint" });
  cells.push({ box, tint, x: word(svg, x + 14, y + 18, "small", ""), w: word(svg, x + PE - 16, y + 18, "small", ""),
    s: word(svg, x + PE / 2, y + 40, "sum", ""), h: word(svg, x + PE / 2, y + PE - 7, "soft", "") });
}
const outputs = [];
const complete = word(svg, x1, 18, "start", "");
if (shown) for (let row = 0; row < product[0]; row++) for (let col = 0; col < product[1]; col++) {
  const x = x1 + col * CELL, y = 28 + row * 24;
  outputs.push([add(svg, "rect", { x, y, width: CELL, height: 24, class: "cell" }), word(svg, x + CELL / 2, y + 17, "small", "")]);
}
// How to read a PE.
const ky = (shown ? 28 + product[0] * 24 : 30) + 34;
word(svg, x1, ky - 8, "start soft", "how to read a PE");
add(svg, "rect", { x: x1, y: ky, width: PE - 4, height: PE - 4, rx: 5, class: "pe useful" });
word(svg, x1 + 12, ky + 16, "small", "a"); word(svg, x1 + PE - 16, ky + 16, "small", "b");
word(svg, x1 + PE / 2 - 2, ky + 38, "sum", "c"); if (words[3]) word(svg, x1 + PE / 2 - 2, ky + PE - 9, "soft", "d");
const told = [`a ${words[0]}, b ${words[1]}`, `c ${words[2]}`, ...(words[3] ? [`d ${words[3]}`] : []), "strong frame: a useful multiply"];
told.forEach((line, index) => word(svg, x1 + PE + 6, ky + 14 + index * 17, "start soft", line));

// Utilization over time.
const U = { x: 44, y: 22, width: 900, height: 64 };
const use = add(stage, "svg", { viewBox: `0 0 ${U.x + U.width + 10} ${U.y + U.height + 24}`, width: U.x + U.width + 10, role: "img", "aria-label": "utilization over time" });
const active = frames.map((frame) => frame.u.reduce((a, b) => a + b, 0));
const step = U.width / frames.length;
const busy = word(use, U.x, 14, "start", "");
word(use, U.x - 4, U.y + 10, "end soft", "100%"); word(use, U.x - 4, U.y + U.height, "end soft", "0");
word(use, U.x, U.y + U.height + 17, "start soft", "cycle 0"); word(use, U.x + U.width, U.y + U.height + 17, "end soft", String(frames.length - 1));
add(use, "rect", { ...U, class: "frame" });
const bars = active.map((n, i) => add(use, "rect", { x: U.x + i * step, y: U.y + U.height * (1 - n / pes), width: Math.max(step * .86, .5), height: U.height * n / pes, class: "bar" }));
const mark = add(use, "line", { y1: U.y, y2: U.y + U.height, class: "now" });
const hit = add(use, "rect", { ...U, fill: "transparent" });
hit.addEventListener("click", (event) => {
  const box = hit.getBoundingClientRect();
  seek(Math.floor((event.clientX - box.left) / box.width * frames.length), true);
});

let now = 0, timer = null;
const put = (node, value) => { node.textContent = value === null || value === undefined ? "" : value; };
function paint(tint, step, useful) {
  tint.setAttribute("fill", TINTS[step % TINTS.length]);
  tint.setAttribute("class", "tint" + (useful ? " useful" : "") + (step % 2 ? " pale" : ""));
}
function fill(group, lanes) {
  group.forEach((lane, i) => lane.forEach(([tint, text], depth) => {
    const slot = lanes[i][depth];
    put(text, slot && slot[0]);
    tint.setAttribute("visibility", slot ? "visible" : "hidden");
    if (slot) paint(tint, slot[1], true);
  }));
}
function draw() {
  const frame = frames[now];
  cells.forEach((cell, i) => {
    const useful = frame.u[i] ? " useful" : "", at = frame.t[i];
    cell.box.setAttribute("class", "pe" + useful);
    cell.tint.setAttribute("visibility", at < 0 ? "hidden" : "visible");
    if (at >= 0) paint(cell.tint, at, frame.u[i]);
    for (const key of ["x", "w", "s", "h"]) put(cell[key], frame[key][i]);
  });
  fill(leftSlots, frame.l);
  fill(topSlots, frame.o);
  const values = new Map(), times = new Map();
  for (const past of frames.slice(0, now + 1)) for (const [row, col, value] of past.c) {
    const key = row * product[1] + col;
    values.set(key, value);
    times.set(key, (times.get(key) || 0) + 1);
  }
  const fresh = new Set(frame.c.map(([row, col]) => row * product[1] + col));
  outputs.forEach(([box, text], key) => {
    const n = times.get(key) || 0;
    put(text, values.get(key));
    box.setAttribute("class", "cell" + (n >= parts ? " done" : n ? " partial" : "") + (fresh.has(key) ? " fresh" : ""));
  });
  const finished = [...times.values()].filter((n) => n >= parts).length;
  put(complete, `product ${product[0]} × ${product[1]}: ${finished} of ${product[0] * product[1]} complete`);
  const past = active.slice(0, now + 1).reduce((a, b) => a + b, 0);
  put(busy, `utilization: ${active[now]} of ${pes} PEs in this cycle, ${(100 * past / pes / (now + 1)).toFixed(1)}% so far`);
  bars.forEach((one, i) => one.setAttribute("class", i <= now ? "bar past" : "bar"));
  mark.setAttribute("x1", U.x + (now + .5) * step); mark.setAttribute("x2", U.x + (now + .5) * step);
  put(count, `cycle ${now} (0 to ${frames.length - 1})`);
  put(phase, frame.p);
  scrub.value = now;
}
function seek(cycle, stop) {
  if (stop) pause();
  now = Math.max(0, Math.min(frames.length - 1, cycle));
  draw();
}
function pause() {
  clearTimeout(timer);
  timer = null;
  put(play, "▶ play");
  play.setAttribute("aria-label", "play");
}
function tick() {
  if (now === frames.length - 1) return pause();
  seek(now + 1, false);
  timer = setTimeout(tick, 1000 / Number(speed.value));
}
function toggle() {
  if (timer !== null) return pause();
  if (now === frames.length - 1) seek(0, false);
  put(play, "⏸ pause");
  play.setAttribute("aria-label", "pause");
  timer = setTimeout(tick, 1000 / Number(speed.value));
}
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.target.tagName === "SELECT") return;
  const acts = { ArrowRight: () => seek(now + 1, true), ArrowLeft: () => seek(now - 1, true), " ": toggle, Home: () => seek(0, true), End: () => seek(frames.length - 1, true) };
  if (!(event.key in acts) || (event.key === " " && event.target.tagName === "BUTTON")) return;
  event.preventDefault();
  acts[event.key]();
});
seek(Number(location.hash.slice(1)) || 0, true); // page.html#12 opens at cycle 12
