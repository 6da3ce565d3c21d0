"""One file a family of chips; `sim.family` finds them."""
