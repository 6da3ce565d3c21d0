"""How words and observations pass between this process and a Verilog simulator: a folder with two JSON files."""

FOLDER = "TILETICK_BENCH"
"""Environment variable that holds the folder."""
TASK, ANSWER = "words.json", "seen.json"
BENCH = "sim.rtl.bench_cocotb"
"""The module that the simulator loads."""
