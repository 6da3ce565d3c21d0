"""Fused attention: how scores, softmax and weighted values become one plan of tiles on the array and on the lanes."""
