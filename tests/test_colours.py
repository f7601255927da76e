"""What the levels of an image file stand for: profiles and PNG's words on colour are followed."""

import io
import struct

import numpy as np
import pytest

from convlet.datasets.encoded.colours import BT709
from convlet.datasets.encoded.kind import kind_of
from convlet.datasets.encoded.pictures import PictureError, opened
from convlet.datasets.encoded.pixels import read_picture
from convlet.datasets.encoded.profiles import SRGB_CURVE, rgb_profile
from convlet.preparation import Preparation
from image_files import COLOUR, GREY, encoded, gama, picture, pixels_of, png, with_chunks

SAME = Preparation(4, 3, "rgb")


def test_a_colour_profile_is_followed_and_srgb_is_left_as_it_is(tmp_path):
    from PIL import ImageCms

    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "image.png"
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=usual))
    np.testing.assert_array_equal(read_picture(path, SAME)[0], COLOUR)
    # one that calls red what others call green: its matrix has the columns exchanged
    swapped = _swapped(usual)
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=swapped))
    found = read_picture(path, SAME)[0].astype(int)
    assert np.abs(found - COLOUR[..., [1, 0, 2]]).max() <= 3
    # of other colours, or damaged: as if there were none
    path.write_bytes(encoded(picture(GREY), "PNG", icc_profile=usual))
    np.testing.assert_array_equal(read_picture(path, SAME)[0][..., 0], GREY)
    path.write_bytes(encoded(picture(COLOUR), "PNG", icc_profile=b"no profile"))
    np.testing.assert_array_equal(read_picture(path, SAME)[0], COLOUR)


def _swapped(profile):
    """With the tags rXYZ and gXYZ exchanged, and another name."""
    data = bytearray(profile.replace(b"s\0R\0G\0B", b"o\0t\0h\0r").replace(b"sRGB", b"othr"))
    count = struct.unpack(">I", data[128:132])[0]
    for n in range(count):
        at = 132 + 12 * n
        name = bytes(data[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(data)


def test_a_profile_is_what_it_does_to_colours_not_what_it_is_called():
    from PIL import ImageCms

    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    linear = _linear(usual.tobytes())
    told = ImageCms.ImageCmsProfile(io.BytesIO(linear))
    assert "sRGB" in ImageCms.getProfileDescription(told)
    found = pixels_of(encoded(picture(RAMP), "PNG", icc_profile=linear), RAMPS)
    np.testing.assert_allclose(found, _srgb(RAMP / 255), atol=1.01)
    # sRGB by rounded numbers, as others write it, keeps its bits
    close = rgb_profile(tuple(np.round(BT709, 3) + 2e-4), SRGB_CURVE)
    there = ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(close)), usual, "RGB", "RGB"
    )
    assert (np.asarray(there.apply(picture(RAMP))) != RAMP).any()
    found = pixels_of(encoded(picture(RAMP), "PNG", icc_profile=close), RAMPS)
    np.testing.assert_array_equal(found, RAMP)


def _linear(profile):
    """With levels that are light, under the same name."""
    data = bytearray(profile)
    for n in range(struct.unpack(">I", data[128:132])[0]):
        name, at, _ = struct.unpack(">4sII", data[132 + 12 * n : 144 + 12 * n])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            assert data[at : at + 4] == b"para"
            data[at + 8 : at + 16] = struct.pack(">HHi", 0, 0, 65536)  # a power of 1
    return bytes(data)


RAMP = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 70)], 1)
RAMP = np.stack([RAMP, np.repeat(np.arange(256)[:, None], 3, 1)]).astype(np.uint8)
RAMPS = Preparation(2, 256, "rgb")
P3 = [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
BT2020 = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
"""Light to light of sRGB, as the CSS and the ITU (BT.2087) have it."""


def _srgb(light):
    """Levels of sRGB (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _light(levels):
    levels = levels / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _chrm(*numbers):
    return png(b"cHRM", struct.pack(">8I", *(round(n * 100_000) for n in numbers)))


SRGB = png(b"sRGB", b"\0")
WIDE = _chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)  # the corners of Display P3
TOLD = {
    # what a PNG file says of its colours: the chunks, and what they make of RAMP
    "nothing": (b"", RAMP),
    "the usual gamma": (gama(0.45455), RAMP),
    "nearly the usual gamma": (gama(0.45), RAMP),
    "light": (gama(1), _srgb(RAMP / 255)),
    "gamma 1.8": (gama(1 / 1.8), _srgb((RAMP / 255) ** 1.8)),
    "light, but sRGB": (gama(1) + WIDE + SRGB, RAMP),
    "wide, but sRGB": (SRGB + WIDE, RAMP),
    "sRGB's corners": (gama(0.45455) + _chrm(*BT709), RAMP),
    "wide": (WIDE, _srgb(_light(RAMP) @ np.transpose(P3))),
    "wide, the usual gamma": (gama(0.45455) + WIDE, _srgb(_light(RAMP) @ np.transpose(P3))),
    "wide light": (gama(1) + WIDE, _srgb(RAMP / 255 @ np.transpose(P3))),
    "no gamma at all": (gama(0), RAMP),
    "no corners at all": (_chrm(*[0] * 8), RAMP),
    "corners in one line": (_chrm(*[0.3, 0.3] * 4), RAMP),
    "cICP: sRGB": (png(b"cICP", b"\1\x0d\0\1") + gama(1), RAMP),
    "cICP: television": (png(b"cICP", b"\1\1\0\1"), RAMP),
    "cICP: nothing known": (png(b"cICP", b"\2\2\0\1"), RAMP),
    "cICP: light": (png(b"cICP", b"\1\x08\0\1"), _srgb(RAMP / 255)),
    "cICP: Display P3": (
        png(b"cICP", b"\x0c\x0d\0\1") + SRGB,
        _srgb(_light(RAMP) @ np.transpose(P3)),
    ),
    "cICP: BT.2020": (
        png(b"cICP", b"\x09\x0e\0\1"),
        _srgb(_light(RAMP) @ np.transpose(BT2020)),
    ),
    "cICP of no length": (png(b"cICP", b""), RAMP),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_png_says_of_its_colours_is_followed(name):
    chunks, expected = TOLD[name]
    data = with_chunks(encoded(picture(RAMP), "PNG"), chunks)
    np.testing.assert_allclose(pixels_of(data, RAMPS), expected, atol=2 if "wide" in name else 1.5)
    if expected is RAMP:
        np.testing.assert_array_equal(pixels_of(data, RAMPS), RAMP)
    with opened(io.BytesIO(data), "x") as image:
        assert kind_of(image, "x").recoloured == (expected is not RAMP)


def test_a_profile_counts_more_than_gama_and_less_than_cicp():
    from PIL import ImageCms

    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = encoded(picture(RAMP), "PNG", icc_profile=usual)
    np.testing.assert_array_equal(pixels_of(with_chunks(plain, gama(1) + WIDE), RAMPS), RAMP)
    linear = encoded(picture(RAMP), "PNG", icc_profile=_linear(usual))
    assert (pixels_of(with_chunks(linear, SRGB), RAMPS) != RAMP).any()
    said = png(b"cICP", b"\1\x0d\0\1")
    np.testing.assert_array_equal(pixels_of(with_chunks(linear, said), RAMPS), RAMP)


def test_gama_behind_the_pixels_says_nothing():
    data = encoded(picture(RAMP), "PNG")
    end = data.rindex(b"IEND") - 4
    np.testing.assert_array_equal(pixels_of(data[:end] + gama(1) + data[end:], RAMPS), RAMP)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_gama_is_followed_in_every_kind_of_image(mode, colour):
    levels = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    image = picture(levels.astype(np.uint16) * 257 if mode == "I;16" else levels)
    image = image if mode == "I;16" else image.convert(mode)
    found = pixels_of(with_chunks(encoded(image, "PNG"), gama(1)), Preparation(2, 256, colour))
    expected = np.broadcast_to(_srgb(levels / 255)[..., None], found.shape)
    np.testing.assert_allclose(found, expected, atol=1)
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ((9, 16, 0, 1), "levels of PQ"),
        ((9, 18, 0, 1), "levels of HLG"),
        ((1, 13, 0, 0), "those of cICP 1-13-0-0"),
        ((22, 13, 0, 1), "those of cICP 22-13-0-1"),
        ((1, 9, 0, 1), "those of cICP 1-9-0-1"),
    ],
)
def test_colours_that_no_rule_brings_to_srgb_are_refused_by_name(code, found):
    data = with_chunks(encoded(picture(COLOUR), "PNG"), png(b"cICP", bytes(code)))
    message = f"x: expected colours that can be those of sRGB, found {found}: nothing says"
    with pytest.raises(PictureError, match=message):
        pixels_of(data, SAME)
    with pytest.raises(PictureError, match=message), opened(io.BytesIO(data), "x") as image:
        kind_of(image, "x")
