"""The IDX reader against bytes written by hand, and everything that it must refuse."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convlet import DataError, FileError, InputError
from convlet.datasets import read_idx, write_idx

# 2 x 3 uint8: header of 12 bytes, then 6 entries
SMALL = bytes.fromhex("00000802 00000002 00000003 010203fdfeff".replace(" ", ""))
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def write(tmp_path, data, name="data"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_bytes_written_by_hand(tmp_path):
    array = read_idx(write(tmp_path, SMALL))
    assert array.dtype == np.uint8
    assert array.tolist() == [[1, 2, 3], [253, 254, 255]]


def test_gzip_is_told_by_content_and_not_by_name(tmp_path):
    assert read_idx(write(tmp_path, gzip.compress(SMALL), "plain-name")).tolist() == [
        [1, 2, 3],
        [253, 254, 255],
    ]
    assert read_idx(write(tmp_path, SMALL, "name.gz")).shape == (2, 3)


@pytest.mark.parametrize(
    ("code", "packed", "value"),
    [
        (0x09, "ff", -1),
        (0x0B, "fffe", -2),
        (0x0C, "00010002", 65538),
        (0x0D, "3fc00000", 1.5),
        (0x0E, "c004000000000000", -2.5),
    ],
)
def test_entries_are_big_endian(tmp_path, code, packed, value):
    data = bytes([0, 0, code, 1, 0, 0, 0, 1]) + bytes.fromhex(packed)
    array = read_idx(write(tmp_path, data))
    assert array.tolist() == [value]
    assert array.dtype.isnative


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_truncation_is_refused(tmp_path, pack):
    whole = pack(SMALL)
    for length in range(len(whole)):
        path = write(tmp_path, whole[:length])
        with pytest.raises(DataError, match=f"{path}: expected"):
            read_idx(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_trailing_byte_is_refused(tmp_path, pack):
    with pytest.raises(DataError, match=r"expected 6 bytes .*\(2, 3\) uint8, found .*trailing"):
        read_idx(write(tmp_path, pack(SMALL + b"\0")))


def test_every_flipped_byte_of_gzip_is_refused_or_harmless(tmp_path):
    whole = gzip.compress(SMALL, mtime=0)
    refused = 0
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 0xFF
        try:
            array = read_idx(write(tmp_path, bytes(data)))
        except DataError:
            refused += 1
        else:  # fields of the header that say nothing about the contents
            assert 3 <= position < 10
            assert array.tolist() == [[1, 2, 3], [253, 254, 255]]
    assert refused >= len(whole) - 7


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 1, "starts with 00 00, found 01 00 08 02"),
        (1, 7, "starts with 00 00, found 00 07 08 02"),
        (2, 0x0A, r"dtype code of IDX \(08, 09, 0B, 0C, 0D, 0E\), found 0A"),
        (3, 0, "1 to 8 dimensions, found 0"),
        (3, 9, "1 to 8 dimensions, found 9"),
        (3, 1, r"expected 2 bytes of entries for shape \(2,\) uint8, found 10"),
        (7, 3, r"expected 9 bytes of entries for shape \(3, 3\) uint8, found 6"),
        (11, 2, r"expected 4 bytes of entries for shape \(2, 2\) uint8, found 6"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, position, value, message):
    data = bytearray(SMALL)
    data[position] = value
    with pytest.raises(DataError, match=message):
        read_idx(write(tmp_path, bytes(data)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "shape", [(1 << 32) - 1, (60000, 28 * 28 * 80), (1 << 31, 1 << 31), (0, 1 << 31, 1 << 31)]
)
def test_promises_of_a_header_take_no_memory(tmp_path, pack, shape):
    shape = shape if isinstance(shape, tuple) else (shape,)
    data = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(100)
    path = write(tmp_path, pack(data))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"expected .*\(.*\d+"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_zero_does_not_hide_dimensions_that_no_array_can_have(tmp_path):
    data = struct.pack(">HBB4I", 0, 8, 4, 0, *[(1 << 32) - 1] * 3)
    with pytest.raises(DataError, match="expected at most 4294967296 bytes, found shape"):
        read_idx(write(tmp_path, data))


def test_a_gzip_bomb_behind_a_small_header_is_not_unpacked(tmp_path):
    path = write(tmp_path, gzip.compress(SMALL + bytes(64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="trailing bytes"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match=r"no-such .*No such file"):
        read_idx(tmp_path / "no-such")
    with pytest.raises(FileError, match="found a folder"):
        read_idx(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="found a folder or a device"):
        read_idx(tmp_path / "pipe")


@settings(max_examples=60, deadline=None)
@given(
    array=st.sampled_from(sorted(CODES)).flatmap(
        lambda code: hnp.arrays(
            np.dtype(code), hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4)
        )
    ),
    ending=st.sampled_from(["", ".gz"]),
)
def test_round_trip(tmp_path_factory, array, ending):
    path = tmp_path_factory.mktemp("idx") / f"array{ending}"
    write_idx(path, array)
    again = read_idx(path)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    data = path.read_bytes()
    plain = gzip.decompress(data) if ending else data
    header = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape
    )
    assert plain == header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def test_write_takes_views_and_other_byte_orders(tmp_path):
    array = np.arange(12, dtype=">i4").reshape(3, 4).T[::2]
    write_idx(tmp_path / "view", array)
    assert read_idx(tmp_path / "view").tolist() == [[0, 4, 8], [2, 6, 10]]


def test_write_refuses_what_idx_cannot_hold(tmp_path):
    with pytest.raises(InputError, match=r"array has dtype int64, expected one of uint8"):
        write_idx(tmp_path / "a", np.arange(3))
    with pytest.raises(InputError, match=r"array has shape \(\), expected 1 to 8"):
        write_idx(tmp_path / "a", np.uint8(3))
    with pytest.raises(FileError, match="cannot be written"):
        write_idx(tmp_path / "no" / "a", np.zeros(3, np.uint8))
    assert list(tmp_path.iterdir()) == []
