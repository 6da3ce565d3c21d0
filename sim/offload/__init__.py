"""Units beside arrays and lanes on one chip: their layers as plans of the common engine.

`job` (what a layer is there), one file a kind of unit (`fabric`, `pim`), `network` (the run), `account` (its accounts).
"""
