"use strict";
// Tables: a head sorts its column, largest figures first; a second time the other way round.
const keyOf = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
};
const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);

function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
  const was = head.getAttribute("aria-sort");
  const numeric = rows.length > 0 && typeof rows[0][0] === "number";
  const down = was === null ? numeric : was === "ascending";
  rows.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.map(([, row]) => row));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sort(button.closest("th"));
});

// Values: what the pointer is over, or was tapped.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
function show(event) {
  const over = event.target.closest ? event.target.closest("[data-tip]") : null;
  tip.hidden = over === null;
  if (over === null) return;
  tip.textContent = over.dataset.tip;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4)) + "px";
  tip.style.top = (event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18) + "px";
}
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
