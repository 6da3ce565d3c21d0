"""The arrays as circuits: generated in PyRTL, simulated register by register, exported as Verilog.

A second witness beside `reference`: gates and handshakes instead of numpy and counters, and nothing shared with
it or with the closed forms of `dataflows`. Needs the extra `rtl`.

Reading order: `parts` (delays, skews, products), `ports` (what an array looks like from outside), `stationary`
(`ws`, `is`), `output` and `streamed` (`os`), `machine` (build, export), `bench` (drive and
observe), `folds` (a layer as words on the ports), `check` (registers against prediction), `foreign` and
`bench_cocotb` (a user's own Verilog).
"""
