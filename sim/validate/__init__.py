"""Predicted against measured: where the model parts from a board, a simulation or a synthesis report, and why.

Reading order: `measured` (what was measured), `formats/` (one file a format), `handshake` (cycles out of traces),
`matching` (which measurement is which layer), `compare` (the errors and their statistics), `fit` (parameters of
the chip from measurements: `parameters`, `objective`, `search`, `certainty`), `text` and `page` (for reading).
"""
