"""Images: reading whatever a cell holds, fitting to a set of them, and packing."""

import contextlib
import io
import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from kontrast.core import factory
from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.image.image import Image
from tests.support.pictures import fitted, read

pytestmark = pytest.mark.quick


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def colours(rng, high=24, wide=32):
    return rng.integers(0, 256, (high, wide, 3), dtype=np.uint8)


# Reading


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "AVIF"])
def test_every_format_gives_the_same_pixels(rng, form, tmp_path):
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    options = {"lossless": True} if form == "WEBP" else {}
    (tmp_path / "a.bin").write_bytes(encoded(Pil.fromarray(flat), form, **options))
    item = read("a.bin", tmp_path)
    assert item.dtype == np.uint8
    assert item.shape == (3, 16, 24)
    assert np.abs(item.astype(int) - flat.transpose(2, 0, 1)).max() <= 3


def test_a_cell_may_be_a_path_bytes_a_dict_a_pil_image_or_an_array(rng, tmp_path):
    pixels = colours(rng)
    data = encoded(Pil.fromarray(pixels), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    cells = [
        "a.png",
        tmp_path / "a.png",
        data,
        {"bytes": data, "path": "gone.png"},
        {"bytes": None, "path": "a.png"},
        Pil.fromarray(pixels),
        pixels,
        pixels.transpose(2, 0, 1),
        pixels.tolist(),
        pixels.astype(np.int64),
        pixels / 255,
        pixels.astype(np.float32),
        pixels.astype(np.uint16) * 257,
    ]
    for cell in cells:
        np.testing.assert_array_equal(read(cell, tmp_path), pixels.transpose(2, 0, 1))


def test_grey_stays_one_channel(rng):
    grey = colours(rng)[..., 0]
    for cell in (
        grey,
        grey[..., None],
        grey[None],
        encoded(Pil.fromarray(grey), "PNG"),
        encoded(Pil.fromarray(grey), "BMP"),
    ):
        np.testing.assert_array_equal(read(cell), grey[None])
    assert read(grey > 100).max() == 255
    one_bit = encoded(Pil.fromarray(grey > 100), "PNG")
    np.testing.assert_array_equal(read(one_bit), read(grey > 100))


def test_the_camera_s_orientation_is_applied(rng):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8] = 255
    exif = Pil.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    for form in ("JPEG", "PNG", "WEBP"):
        item = read(encoded(Pil.fromarray(pixels), form, exif=exif))
        assert item.shape == (3, 32, 16)
        assert item[:, :, 12:].mean() > 240 > 15 > item[:, :, :4].mean()


def test_a_palette_gives_colours_and_not_its_indices(rng):
    small = Pil.fromarray(colours(rng)).quantize(7)
    np.testing.assert_array_equal(read(encoded(small, "PNG")), np.asarray(small.convert("RGB")).transpose(2, 0, 1))


def test_transparency_is_white(rng):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4, :, 3] = 255
    rgba[4:6, :, 3] = 51
    palette = Pil.fromarray(rgba[..., :3]).quantize(2)
    for cell in (rgba, encoded(Pil.fromarray(rgba), "PNG"), encoded(Pil.fromarray(rgba), "TIFF"), Pil.fromarray(rgba)):
        item = read(cell)
        assert item.shape == (3, 8, 8)
        assert item[:, :4].max() == 0
        assert set(item[:, 4:6].ravel()) == {204}
        assert item[:, 6:].min() == 255
    assert read(encoded(palette, "PNG", transparency=0)).min() == 255
    assert read(encoded(Pil.fromarray(rgba).convert("LA"), "PNG")).shape == (1, 8, 8)


def test_16_bits_are_scaled_and_not_clipped(rng):
    deep = rng.integers(0, 65536, (8, 8), dtype=np.uint16)
    expected = np.round(deep / 257).astype(np.uint8)[None]
    for cell in (deep, encoded(Pil.fromarray(deep), "PNG"), encoded(Pil.fromarray(deep), "TIFF")):
        np.testing.assert_array_equal(read(cell), expected)


def test_cmyk_is_read_as_colours():
    red = encoded(Pil.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK"), "JPEG")
    assert np.abs(read(red).mean((1, 2)) - [220, 20, 20]).max() < 12


def test_arrays_with_other_channels_need_the_setting(rng):
    bands = rng.integers(0, 256, (5, 12, 12), dtype=np.uint8)
    with pytest.raises(Unreadable, match="set channels=5"):
        read(bands)
    np.testing.assert_array_equal(read(bands, channels=5), bands)
    many = fitted(16, 5)
    packed = many.pack(many.read(bands, None))
    assert many.augment(many.collate([packed]), torch.zeros(1, dtype=torch.int64)).shape == (1, 5, 16, 16)
    assert many.show(packed).startswith("<img")


def bomb():
    """A PNG of a few hundred bytes that announces 10,000 x 8,000 pixels."""
    data = bytearray(encoded(Pil.new("L", (8, 8)), "PNG"))
    data[16:24] = (10_000).to_bytes(4, "big") + (8_000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (b"", "empty file"),
        (b"hello", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (bomb(), "64 megapixels"),
        ("gone.png", "no such file"),
        (".", "a folder"),
        ("a\0b", "cannot be opened"),
        ("https://example.org/a.png", "web address"),
        ({"bytes": None, "path": None}, "nothing there"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((2, 2, 2, 2), np.uint8), "shape"),
        (np.zeros(5), "shape"),
        (np.full((4, 4), -0.5), "from -0.5 to -0.5"),
        (np.full((4, 4), np.nan), "0..1 or 0..255"),
        (np.full((4, 4), 300), "0..1 or 0..255"),
        (np.full((4, 4), "x"), "expected numbers"),
        ([[1, 2], [3]], "not an array"),
    ],
)
def test_what_cannot_be_read_says_why(cell, says, tmp_path):
    with pytest.raises(Unreadable, match=says):
        read(cell, tmp_path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_damaged_files_are_unreadable_and_nothing_else(rng, form):
    data = encoded(Pil.fromarray(colours(rng, 64, 64)), form)
    for cell in (data[: len(data) // 2], Pil.open(io.BytesIO(data[: len(data) // 2])) if form != "WEBP" else data[:50]):
        with pytest.raises(Unreadable, match=r"damaged|not a picture"):
            read(cell)
    for _ in range(40):  # some damage cannot be seen; whatever is raised is Unreadable
        broken = bytearray(data)
        for at in rng.integers(0, min(len(data), 200), 6):
            broken[at] = rng.integers(0, 256)
        with contextlib.suppress(Unreadable):
            assert read(bytes(broken)).dtype == np.uint8


def test_large_pictures_are_kept_small_in_memory():
    item = read(np.zeros((600, 1200, 3), np.uint8))
    assert item.shape == (3, 512, 1024)
    assert read(np.zeros((600, 700, 3), np.uint8), size=640).shape == (3, 600, 700)


# Fitting and packing


def test_fit_learns_size_channels_and_scale(rng):
    image = Image()
    image.fit([image.read(colours(rng, 50, 60), None) for _ in range(4)])
    assert image.facts() == {"size": 48, "channels": 3}
    x = torch.cat(
        [image.preprocess(image.collate([image.pack(colours(rng, 50, 60).transpose(2, 0, 1))])) for _ in range(8)]
    )
    assert x.mean().abs() < 0.1
    assert (x.std() - 1).abs() < 0.1
    for side, size in ((8, 16), (28, 32), (300, 64)):
        other = Image()
        other.fit([np.zeros((1, side, side), np.uint8)])
        assert other.facts() == {"size": size, "channels": 1}


def test_what_the_user_set_stays(rng):
    image = Image(size=24, channels=1, mean=[0.1], std=[0.2])
    image.fit([colours(rng).transpose(2, 0, 1)])
    assert image.state() == {"size": 24, "channels": 1, "mean": [0.1], "std": [0.2]}


def test_pictures_that_are_grey_in_three_channels_are_grey(rng):
    grey = np.repeat(colours(rng)[..., :1], 3, 2).transpose(2, 0, 1)
    image = Image()
    image.fit([grey, grey])
    assert image.channels == 1
    image = Image()
    image.fit([grey, colours(rng).transpose(2, 0, 1)])
    assert image.channels == 3
    packed = image.pack(grey[:1])
    np.testing.assert_array_equal(packed[0], packed[2])


def test_the_middle_square_is_kept_and_elongated_pictures_are_squeezed():
    item = np.zeros((1, 32, 48), np.uint8)
    item[..., 8:40] = 255
    assert fitted(32, 1).pack(item).min() == 255
    line = np.zeros((1, 16, 160), np.uint8)
    line[..., -40:] = 255
    assert (fitted(16, 1).pack(line) > 128).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 50), (3, 500, 3), (1, 33, 31)])
def test_every_size_packs_to_one_shape(shape):
    packed = fitted(16).pack(np.full(shape, 7, np.uint8))
    assert packed.shape == (3, 16, 16)
    assert set(packed.ravel()) == {7}


def test_a_picture_that_may_not_be_written_to_packs_too(rng):
    grey = colours(rng)[..., 0]
    grey.setflags(write=False)
    assert fitted(16, 1).pack(read(grey)).shape == (1, 16, 16)
    assert fitted(16, 1).pack(read(encoded(Pil.fromarray(grey), "PNG"))).shape == (1, 16, 16)


def test_shrinking_does_not_alias():
    stripes = np.zeros((1, 256, 256), np.uint8)
    stripes[..., ::2] = 255
    packed = fitted(32, 1).pack(stripes)
    assert np.abs(packed[..., 2:-2].astype(int) - 127).max() <= 2


def test_state_survives_json_and_gives_the_same_views(rng):
    image = Image()
    items = [colours(rng).transpose(2, 0, 1) for _ in range(3)]
    image.fit(items)
    other = Image()
    other.restore(json.loads(json.dumps(image.state())))
    batch = image.collate([image.pack(item) for item in items])
    assert torch.equal(image.preprocess(batch), other.preprocess(batch))


@pytest.mark.parametrize(
    "settings",
    [{"size": 4}, {"channels": 0}, {"channels": 3, "mean": [0.5]}, {"std": [0.0]}],
)
def test_nonsense_settings_are_refused(settings):
    with pytest.raises(UserError, match="image: "):
        Image(**settings)


def test_a_mean_for_other_channels_than_there_are_is_said():
    with pytest.raises(UserError, match="mean has 3 numbers, but the pictures 1"):
        Image(mean=[0.5] * 3).fit([np.zeros((1, 16, 16), np.uint8)])


def test_nothing_to_fit_is_said():
    with pytest.raises(UserError, match="no picture"):
        Image().fit([])


# Found by name


def test_it_is_found_by_its_name():
    assert isinstance(factory.build("modalities", "image", {"size": 16}), Image)
