"""What the tags of a TIFF file say of its pixels, and which of them Pillow takes for others."""

from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, TypeAlias

Tags: TypeAlias = Mapping[int, Any]

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, CHANNELS, PLANAR, TILES, EXTRA = 273, 277, 284, 324, 338
SAMPLE_FORMAT, SUBSAMPLING = 339, 530

BIG = (b"+\0", b"\0+")  # the number of BigTIFF
BIG_BACKWARDS = b"MM\0+"  # the one of which Pillow takes the numbers for those of plain TIFF
PLAIN = 1  # a Compression
WHITE_IS_0, YCBCR = 0, 6  # PhotometricInterpretations
SEPARATE = 2  # a PlanarConfiguration
UNSPECIFIED, ASSOCIATED = 0, 1  # ExtraSamples
PHOTOMETRICS = {
    0: "grey with 0 as white",
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
}
FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}  # SampleFormats


def tag(tags: Tags, number: int, default: int) -> tuple[int, ...]:
    """The values of a tag."""
    found = tags.get(number, default)
    return tuple(found) if isinstance(found, tuple) else (found,)


def unknown_levels(tags: Tags) -> str:
    """What the levels are, where nothing says which of them is white."""
    bits = tag(tags, BITS, 1)
    formats = [FORMATS[n] for n in tag(tags, SAMPLE_FORMAT, 1) if n in FORMATS]
    if formats and formats[0] != "signed":
        return f"{formats[0]} levels"
    if max(bits) > 16:
        return f"levels of {max(bits)} bits"
    if formats:
        return "signed levels"
    odd = [n for n in bits if 8 < n < 16]
    return f"{odd[0]} bits" if odd else ""


def unspecified(tags: Tags) -> str:
    """The channels, where some are neither colour nor alpha: Pillow drops those."""
    others = tag(tags, EXTRA, ASSOCIATED).count(UNSPECIFIED)
    return f"{_kind(tags)}, {others} of them without a stated meaning" if others else ""


def misread(tags: Tags, mode: str) -> str:
    """What Pillow decodes to other colours or not at all, though it opens it.  mode: Pillow's."""
    if tag(tags, CHANNELS, 1)[0] == 1:
        return ""
    compressed = tag(tags, COMPRESSION, PLAIN)[0] != PLAIN
    if tag(tags, PLANAR, 1)[0] == SEPARATE:
        right = mode in ("RGB", "RGBA", "CMYK")  # alpha of grey is lost, Lab has its sign wrong
        if not compressed:  # each byte is taken for a level, its first bit for the highest
            right = right and set(tag(tags, BITS, 1)) == {8} and tag(tags, FILL_ORDER, 1) == (1,)
            right = right and ASSOCIATED not in tag(tags, EXTRA, 0)
        return "" if right else _kind(tags)
    thinned = tag(tags, PHOTOMETRIC, 1)[0] == YCBCR and tag(tags, SUBSAMPLING, 2) != (1, 1)
    return f"{_kind(tags)}, fewer of colour" if thinned and not compressed else ""


def _kind(tags: Tags) -> str:
    """As in "RGB in 3 uncompressed planes of 16 bits"."""
    photometric = tag(tags, PHOTOMETRIC, 1)[0]
    name = PHOTOMETRICS.get(photometric, f"PhotometricInterpretation {photometric}")
    channels = tag(tags, CHANNELS, 1)[0]
    plain = "uncompressed " if tag(tags, COMPRESSION, PLAIN)[0] == PLAIN else ""
    what = "plane" if tag(tags, PLANAR, 1)[0] == SEPARATE else "channel"
    plural = "" if channels == 1 else "s"
    return f"{name} in {channels} {plain}{what}{plural} of {max(tag(tags, BITS, 1))} bits"


def unread(file: IO[bytes]) -> tuple[str, str]:
    """What Pillow does not open: levels of which none is white, and else; both "" if no TIFF."""
    from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

    with suppress(Exception):  # strangers' bytes
        file.seek(0)
        head = file.read(8)
        if head.startswith(BIG_BACKWARDS):
            return "", "BigTIFF with the highest byte of each number first"
        tags = ImageFileDirectory_v2(head + file.read(8) if head[2:4] in BIG else head)
        file.seek(tags.next)
        tags.load(file)
        if not {WIDTH, LENGTH, PHOTOMETRIC} <= set(tags) or not {STRIPS, TILES} & set(tags):
            return "", ""
        levels = unknown_levels(tags)
        if levels:
            return levels, ""
        compression = tag(tags, COMPRESSION, PLAIN)[0]
        if compression not in COMPRESSION_INFO:
            return "", f"compression {compression}"
        return "", _kind(tags)
    return "", ""
