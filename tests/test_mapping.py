"""Cuts of a contraction: what a tile reads, what operands need on chip, and what is told when it is too much."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from sim.errors import CapacityError, MappingError
from sim.execute import input_region
from sim.fits import check, cuts_of, shrink
from sim.kernel import Axis, Contraction
from sim.mapping import Mapping, Tiling, flat, row_loops, window
from tests.laws import ORDERS, arches, chip, contractions, law, mappings, tight

CONV = Contraction("conv1", 32, 8, 2, 1, (Axis(8, 8, 3, pad=1), Axis(8, 8, 3, pad=1)))


def told(kernel, mapping, arch, on_chip=frozenset()):
    with pytest.raises(MappingError) as error:
        check(Tiling(kernel, mapping), arch, on_chip)
    return str(error.value)


@law(contractions(), st.integers(1, 200), quick=100, full=3000)
def test_row_tiles_cover_every_row_once_and_read_the_inputs_that_a_load_brings(kernel, size):
    positions = kernel.positions
    size = size if size <= positions else min(kernel.m, -(-size // positions) * positions)
    start = 0
    for count, rows, _ in flat(row_loops(kernel.batch, kernel.axes, size)):
        assert count == 1 or rows <= positions or rows % positions == 0
        start += count * rows
    assert start == kernel.m
    cut = min(size, positions)
    for begin in range(0, positions, cut):
        stop = min(begin + cut, positions)
        images, _, *brought = input_region(kernel, range(begin, stop), range(kernel.k))
        assert images.tolist() == [0]
        assert window(kernel.axes, begin, stop) == int(np.prod([len(c) for c in brought]))


@law(contractions(), st.data(), quick=100, full=3000)
def test_a_load_brings_every_input_that_its_rows_read(kernel, data):
    begin = data.draw(st.integers(0, kernel.positions - 1))
    stop = data.draw(st.integers(begin + 1, kernel.positions))
    images, channels, *brought = input_region(kernel, range(begin, stop), range(kernel.k))
    mask = np.zeros(kernel.input_shape[1:], bool)
    mask[np.ix_(images, channels, *brought)] = True
    reads = kernel.gather(slice(begin, stop), slice(0, kernel.k))
    assert mask.ravel()[reads[reads >= 0]].all()


def test_a_tile_of_k_must_hold_whole_channels():
    assert told(CONV, Mapping(8, 8, 20), chip()) == "conv1: tile.k 20 cuts a channel of 9 taps; nearest is 18"
    assert told(CONV, Mapping(8, 8, 2), chip()) == "conv1: tile.k 2 cuts a channel of 9 taps; nearest is 9"


def test_a_tile_of_several_images_must_hold_whole_ones():
    kernel = replace(CONV, batch=3)
    assert told(kernel, Mapping(100, 8, 9), chip()) == (
        "conv1: tile.m 100 is more than an image and cuts one; an image has 64 positions, nearest is 128"
    )


def test_packed_groups_must_fit_on_the_array_whole():
    kernel = Contraction("dw", 2, 1, 1, 8, (Axis(8, 6, 3),))
    mapping = Mapping(6, 2, 3, g=8, packed=2)
    assert told(kernel, mapping, chip()) == (
        "dw: 2 packed groups of 3 along k need 6 PEs on a side of 4; at most 1 fit"
    )
    assert told(replace(kernel, filters=5), replace(mapping, n=5, lowering="direct"), chip()) == (
        "dw: 2 packed groups of 5 along n need 10 PEs on a side of 4; pack none"
    )
    check(Tiling(kernel, replace(mapping, lowering="direct")), chip())


def test_a_tile_that_is_too_large_says_what_each_operand_needs_and_the_nearest_that_fits():
    message = told(CONV, Mapping(128, 32, 72), chip("8 KiB"))
    assert message == (
        "conv1: tile 128x32x72 (weight 2304, input 1024, output 16384 bytes) does not fit in buffer 'sram': "
        "needs 19712 bytes, 8192 are available; the nearest that fits is tile m: 128, n: 5, k: 72"
    )


def test_operands_on_chip_need_no_tile():
    with pytest.raises(CapacityError) as error:
        check(Tiling(CONV, Mapping(128, 32, 72)), chip("8 KiB"), frozenset({"weight", "input"}))
    assert (error.value.needed, error.value.available, error.value.memory) == (16384, 8192, "buffer 'sram'")
    assert "weight" not in str(error.value)


def test_a_kernel_of_which_no_tile_fits_says_so():
    assert told(Contraction("fc", 4, 4, 4), Mapping(1, 1, 1), chip("11 B")) == (
        "fc: tile 1x1x1 (weight 2, input 2, output 8 bytes) does not fit in buffer 'sram': needs 12 bytes, "
        "11 are available; no smaller tile fits; enlarge the buffer or set its buffering to single"
    )


@law(contractions(), st.data(), quick=150, full=3000)
def test_the_nearest_that_fits_is_cut_as_little_as_needed(kernel, data):
    arch = data.draw(arches(bounded=True, count=1))
    tiling = Tiling(kernel, replace(data.draw(mappings(kernel, arch)), packed=1))
    small = tight(tiling, arch)
    part = data.draw(st.integers(1, 100))
    small = small.model_copy(update={"buffers": {
        name: b.model_copy(update={"capacity": max(1, b.capacity * part // 100)}) for name, b in small.buffers.items()
    }})  # fmt: skip
    try:
        check(tiling, small)
        assume(False)
    except CapacityError as error:
        named = re.search(r"the nearest that fits is tile m: (\d+), n: (\d+), k: (\d+)$", str(error))
        if named is None:
            assert str(error).endswith("no smaller tile fits; enlarge the buffer or set its buffering to single")
            return
    near = dict(zip("mnk", map(int, named.groups()), strict=True))
    check(Tiling(kernel, replace(tiling.mapping, **near)), small)
    whole = {d: min(tiling.mapping.tile(d), getattr(kernel, d)) for d in "mnk"}
    for dim, most in whole.items():
        larger = [size for size in cuts_of(kernel, dim, most) if size > near[dim]][:1]
        for size in larger:
            with pytest.raises(CapacityError):
                check(Tiling(kernel, replace(tiling.mapping, **near | {dim: size})), small)
    if sum(near[d] < whole[d] for d in whole) > 1:  # no dimension alone would have done
        for dim in whole:
            smallest = replace(tiling.mapping, **{dim: cuts_of(kernel, dim, whole[dim])[0]})
            with pytest.raises(CapacityError):
                check(Tiling(kernel, smallest), small)


@law(contractions(), st.data(), quick=100, full=2000)
def test_what_does_not_fit_anyhow_does_not_fit_as_the_smallest_tile_either(kernel, data):
    arch = data.draw(arches(bounded=True, count=1))
    mapping = replace(data.draw(mappings(kernel, arch)), packed=1)
    limit = data.draw(st.integers(1, 400))
    small = arch.model_copy(update={"buffers": {
        name: b.model_copy(update={"capacity": limit}) for name, b in arch.buffers.items()
    }})  # fmt: skip
    try:
        check(Tiling(kernel, mapping), small)
    except CapacityError as error:
        if "no smaller tile fits" in str(error):
            with pytest.raises(CapacityError):
                check(Tiling(kernel, replace(mapping, m=1, n=1, k=kernel.taps)), small)


@law(contractions(), st.data(), quick=100, full=2000)
def test_shrinking_ends_at_the_smallest_cut_and_stays_legal(kernel, data):
    arch = data.draw(arches(bounded=False, count=1))
    mapping = Mapping(kernel.m, kernel.n, kernel.k)
    for _ in range(60):
        dim = data.draw(st.sampled_from(ORDERS[0]))
        smaller = shrink(kernel, mapping, dim)
        assert smaller.tile(dim) <= mapping.tile(dim)
        check(Tiling(kernel, smaller), arch)
        mapping = smaller
