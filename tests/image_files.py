"""Image files that tests make: every kind with what must be read from it."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from convlet.datasets.encoded.pictures import opened
from convlet.datasets.encoded.pixels import prepared
from convlet.libraries import quiet

Image = pytest.importorskip("PIL.Image")
from PIL import ImageCms, PngImagePlugin  # noqa: E402

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 3), np.uint8)
COLOUR = RNG.integers(0, 256, (4, 3, 3), np.uint8)
ALPHA = RNG.integers(0, 256, (4, 3), np.uint8)
FLAT = np.full((8, 8, 3), (200, 100, 50), np.uint8)  # which JPEG keeps but for a level or two
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)


SPELLINGS = {
    "attribute": XMP,
    "single quotes": XMP.replace('tiff:Orientation="%d"', "tiff:Orientation='%d'"),
    "blanks": XMP.replace('tiff:Orientation="%d"', "tiff:Orientation = '%d'"),
    "element": XMP.replace(
        '" tiff:Orientation="%d"/>', '"><tiff:Orientation>%d</tiff:Orientation>'
    ),
    "element of a kind": XMP.replace(
        '" tiff:Orientation="%d"/>', '"><tiff:Orientation rdf:datatype="n"> %d </tiff:Orientation>'
    ),
    "another prefix": XMP.replace("xmlns:tiff", "xmlns:t").replace("tiff:O", "t:O"),
}
"""Of the same words in XMP."""


def picture(pixels):
    return Image.fromarray(np.asarray(pixels))


def save(path, pixels, **options):
    """An image file of these pixels, in folders that are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def class_folder(folder, count, start=0):
    """Images whose pixels are all start, start + 1, ..."""
    for n in range(count):
        save(folder / f"image-{n:02}.png", np.full((4, 3), start + n))


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(data, preparation):
    """What is read from the bytes of a file."""
    with quiet(), opened(io.BytesIO(data), "x") as image:
        return prepared(image, preparation, "x")[0]


def over_white(pixels, alpha):
    """Each level times alpha, the rest white, rounded."""
    share = alpha.astype(float) / 255
    share = share[..., None] if pixels.ndim == 3 else share
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def grey3(levels):
    return np.repeat(np.asarray(levels)[..., None], 3, axis=2)


def _with_alpha(mode):
    base = COLOUR if mode == "RGBA" else GREY[..., None]
    return Image.fromarray(np.concatenate([base, ALPHA[..., None]], axis=2), mode)


def _palette():
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(4, 3), "P")
    image.putpalette(COLOUR.reshape(-1).tolist())
    return image


def _clear_palette():
    """Of which the colour with number 5 is transparent."""
    expected = COLOUR.copy().reshape(-1, 3)
    expected[5] = 255
    return encoded(_palette(), "PNG", transparency=5), expected.reshape(4, 3, 3)


def _deep_rgb_png():
    """16 bits a channel, as Pillow does not write it."""
    levels = RNG.integers(0, 1 << 16, (4, 3, 3)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in levels)
    data = png(b"IHDR", struct.pack(">IIBBBBB", 3, 4, 16, 2, 0, 0, 0))
    data += png(b"IDAT", zlib.compress(raw)) + png(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data, (levels >> 8).astype(np.uint8)


def png(kind, data):
    """A chunk."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def gama(gamma):
    """The chunk of the power from light to levels."""
    return png(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def with_chunks(data, chunks):
    """A PNG file with others behind its header."""
    return data[:33] + chunks + data[33:]


def huge_png(columns, rows):
    """The header of an image that has no pixels in the file."""
    header = png(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png(b"IDAT", zlib.compress(bytes(9)))


def _cmyk():
    """No black: then RGB is what the inks leave of white."""
    inks = np.concatenate([255 - COLOUR, np.zeros((4, 3, 1), np.uint8)], axis=2)
    return encoded(Image.fromarray(inks, "CMYK"), "TIFF")


def _lab():
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(
        picture(FLAT), ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
    )
    return encoded(image, "TIFF")


def _frames(kind, **options):
    first, second = picture(GREY), picture(255 - GREY)
    return encoded(first, kind, save_all=True, append_images=[second], **options)


def _bits():
    pixels = np.where(GREY > 127, 255, 0).astype(np.uint8)
    return encoded(picture(pixels).convert("1"), "PNG"), grey3(pixels)


DEEP = RNG.integers(0, 1 << 16, (4, 3)).astype(np.uint16)

KINDS = {
    # name: (suffix, bytes, what is read as RGB, levels that it may differ by)
    "png, grey": (".png", encoded(picture(GREY), "PNG"), grey3(GREY), 0),
    "png, rgb": (".png", encoded(picture(COLOUR), "PNG"), COLOUR, 0),
    "png, palette": (".png", encoded(_palette(), "PNG"), COLOUR, 0),
    "png, transparent palette": (".png", *_clear_palette(), 0),
    "png, 1 bit": (".png", *_bits(), 0),
    "png, grey and alpha": (
        ".PNG",
        encoded(_with_alpha("LA"), "PNG"),
        grey3(over_white(GREY, ALPHA)),
        1,
    ),
    "png, rgb and alpha": (
        ".png",
        encoded(_with_alpha("RGBA"), "PNG"),
        over_white(COLOUR, ALPHA),
        1,
    ),
    "png, 16-bit grey": (".png", encoded(picture(DEEP), "PNG"), grey3(DEEP >> 8), 0),
    "png, 16-bit rgb": (".png", *_deep_rgb_png(), 0),
    "png, several frames": (".png", _frames("PNG"), grey3(GREY), 0),
    "jpeg, rgb": (".JPG", encoded(picture(FLAT), "JPEG", quality=100), FLAT, 2),
    "jpeg, progressive": (".jpeg", encoded(picture(FLAT), "JPEG", progressive=True), FLAT, 3),
    "jpeg, grey": (".jpe", encoded(picture(FLAT[..., 0]), "JPEG"), grey3(FLAT[..., 0]), 1),
    "jpeg, cmyk": (
        ".jfif",
        encoded(picture(FLAT).convert("CMYK"), "JPEG", quality=100),
        FLAT,
        3,
    ),
    "bmp": (".bmp", encoded(picture(COLOUR), "BMP"), COLOUR, 0),
    "gif": (".gif", encoded(_palette(), "GIF"), COLOUR, 0),
    "gif, several frames": (".gif", _frames("GIF"), grey3(GREY), 0),
    "webp, lossless": (".webp", encoded(picture(COLOUR), "WEBP", lossless=True), COLOUR, 0),
    "webp, alpha": (
        ".webp",
        encoded(_with_alpha("RGBA"), "WEBP", lossless=True, exact=True),
        over_white(COLOUR, ALPHA),
        1,
    ),
    "webp, several frames": (".webp", _frames("WEBP", lossless=True), grey3(GREY), 0),
    "tiff": (".tif", encoded(picture(COLOUR), "TIFF"), COLOUR, 0),
    "tiff, packed": (
        ".tiff",
        encoded(picture(COLOUR), "TIFF", compression="tiff_lzw"),
        COLOUR,
        0,
    ),
    "tiff, 16-bit grey": (".tif", encoded(picture(DEEP), "TIFF"), grey3(DEEP >> 8), 0),
    "tiff, several pages": (".tif", _frames("TIFF"), grey3(GREY), 0),
    "tiff, cmyk": (".tif", _cmyk(), COLOUR, 1),
    "tiff, ycbcr": (
        ".tif",
        encoded(picture(FLAT).convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        FLAT,
        3,
    ),
    "tiff, lab": (".tif", _lab(), FLAT, 3),
}

TURNS = {
    # EXIF's number: how the pixels are stored that are looked at as GREY
    1: GREY,
    2: GREY[:, ::-1],
    3: GREY[::-1, ::-1],
    4: GREY[::-1],
    5: GREY.T,
    6: np.rot90(GREY),  # the camera was turned: a viewer turns the pixels clockwise
    7: GREY[::-1, ::-1].T,
    8: np.rot90(GREY, -1),
}


def turned(how, turn, xmp=XMP):
    """The bytes of a file with this orientation, that is looked at as GREY.  xmp: its words."""
    image = picture(np.ascontiguousarray(TURNS[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn
    match how:
        case "exif in png":
            return encoded(image, "PNG", exif=exif)
        case "exif after the pixels of png":
            whole = encoded(image, "PNG")
            end = whole.rindex(b"IEND") - 4
            return (
                whole[:end] + png(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + whole[end:]
            )
        case "xmp in png":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp % turn)
            return encoded(image, "PNG", pnginfo=info)
        case "xmp in png, packed":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp % turn, zip=True)
            return encoded(image, "PNG", pnginfo=info)
        case "xmp in png, as digits":  # of ImageMagick
            info = PngImagePlugin.PngInfo()
            data = (xmp % turn).encode()
            info.add_text("Raw profile type xmp", f"\nxmp\n{len(data):8}\n{data.hex()}\n", zip=True)
            return encoded(image, "PNG", pnginfo=info)
        case "exif in webp":
            return encoded(image.convert("RGB"), "WEBP", lossless=True, exif=exif)
        case "xmp in webp":
            return encoded(image.convert("RGB"), "WEBP", lossless=True, xmp=(xmp % turn).encode())
        case "tag of tiff":
            return encoded(image, "TIFF", tiffinfo={274: turn})
        case "xmp in tiff":
            return encoded(image, "TIFF", tiffinfo={700: (xmp % turn).encode()})
    raise ValueError(how)


PLACES = {
    "exif in png": ".png",
    "exif after the pixels of png": ".png",
    "xmp in png": ".png",
    "xmp in png, packed": ".png",
    "xmp in png, as digits": ".png",
    "exif in webp": ".webp",
    "xmp in webp": ".webp",
    "tag of tiff": ".tif",
    "xmp in tiff": ".tif",
}
"""Where an orientation may be written, and the suffix of such a file."""


def tiff(channels, photometric, bits=8, order="<", planar=1, tags=(), pack=bytes):
    """The bytes of a TIFF file in strips.

    channels (rows, columns, channels) of whole numbers; planar: 2 for planes; tags: others, and
    such as take the place of those here, each a number, its type and its values; pack: of a strip.
    """
    rows, columns, count = channels.shape
    planes = [channels] if planar == 1 else [channels[..., n] for n in range(count)]
    number = np.dtype(f"{order}{'i' if channels.min() < 0 else 'u'}{bits // 8}")
    strips = [pack(plane.astype(number).tobytes()) for plane in planes]
    starts = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    entries = {
        256: (4, [columns]),
        257: (4, [rows]),
        258: (3, [bits] * count),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, starts),
        277: (3, [count]),
        278: (4, [rows]),
        279: (4, list(map(len, strips))),
        284: (3, [planar]),
    } | {number: (kind, values) for number, kind, values in tags}
    at = 8 + sum(map(len, strips))
    behind = at + 2 + 12 * len(entries) + 4
    directory, more = struct.pack(f"{order}H", len(entries)), b""
    for number, (kind, values) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(data) > 4:
            place = struct.pack(f"{order}I", behind + len(more))
            more += data
        else:
            place = data.ljust(4, b"\0")
        directory += struct.pack(f"{order}HHI", number, kind, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return head + b"".join(strips) + directory + bytes(4) + more
