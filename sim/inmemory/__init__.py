"""Networks on a chip whose banks multiply.

Reading order: `jobs` (what each layer asks of banks and companion), `schedule` (when each gets it), `baseline` (the
same bytes streamed to an array), `account` (to the common result), `tracks` (who did what when), `placement` (which
bank holds what, how full).
"""
