"""Images: reading whatever a cell holds, packing, and distortions that depend on nothing but the row's key."""

import base64
import contextlib
import io
import json
import re
import zlib

import numpy as np
import pytest
import torch
from PIL import Image as Pil

from kontrast.core import chance, find
from kontrast.core.errors import Unreadable, UserError
from kontrast.data.modalities.image import Image


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def read(cell, folder=None, **settings):
    return Image(**settings).read(cell, folder)


def colours(rng, high=24, wide=32):
    return rng.integers(0, 256, (high, wide, 3), dtype=np.uint8)


def fitted(size=32, channels=3, **settings):
    return Image(size=size, channels=channels, mean=[0.5] * channels, std=[0.25] * channels, **settings)


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
    assert many.distort(many.collate([packed]), torch.zeros(1, dtype=torch.int64)).shape == (1, 5, 16, 16)
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
    x = torch.cat([image.plain(image.collate([image.pack(colours(rng, 50, 60).transpose(2, 0, 1))])) for _ in range(8)])
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
    assert torch.equal(image.plain(batch), other.plain(batch))


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


# Views


def batch_of(rng, n=12, channels=3, size=32):
    return torch.from_numpy(rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8))


@pytest.mark.parametrize("strength", ["strong", "light", "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_s_view_is_the_same_alone_and_in_any_batch(rng, strength, channels):
    image = fitted(channels=channels, strength=strength)
    batch, keys = batch_of(rng, channels=channels), chance.key(3, 1, torch.arange(12), 0)
    before = batch.clone()
    views = image.distort(batch, keys)
    order = torch.randperm(12)
    torch.testing.assert_close(image.distort(batch[order], keys[order]), views[order], atol=2e-6, rtol=0)
    for i in (0, 7):
        torch.testing.assert_close(
            image.distort(batch[i : i + 1], keys[i : i + 1]), views[i : i + 1], atol=2e-6, rtol=0
        )
    assert torch.equal(batch, before)
    assert views.shape == batch.shape
    assert views.dtype == torch.float32
    assert views.min() >= -2
    assert views.max() <= 2


def test_other_keys_give_other_views(rng):
    image = fitted()
    batch = batch_of(rng, 1).expand(64, 3, 32, 32)
    views = image.distort(batch, chance.key(0, 0, torch.arange(64), 0)).flatten(1)
    assert torch.pdist(views).min() > 1
    again = image.distort(batch, chance.key(0, 0, torch.arange(64), 1)).flatten(1)
    assert (views - again).norm(dim=1).min() > 1


def test_strength_none_is_plain(rng):
    image = fitted(strength="none")
    batch = batch_of(rng)
    assert torch.equal(image.distort(batch, torch.arange(12)), image.plain(batch))


def test_light_views_stay_nearer_than_strong_ones(rng):
    batch = torch.from_numpy(np.linspace(0, 255, 32, dtype=np.uint8)).repeat(64, 3, 32, 1)
    keys = chance.key(0, 0, torch.arange(64), 0)
    far = [
        (image.distort(batch, keys) - image.plain(batch)).abs().mean()
        for image in (fitted(strength="strong"), fitted(strength="light"))
    ]
    assert far[1] < 0.6 * far[0]


def flipped(image, n=64):
    """The share of views of a ramp that rises to the right in which it falls."""
    C = image.channels
    batch = torch.from_numpy(np.linspace(0, 255, 32, dtype=np.uint8)).repeat(n, C, 32, 1)
    views = image.distort(batch, chance.key(0, 0, torch.arange(n), 0))
    return (views[..., 16:].mean((1, 2, 3)) < views[..., :16].mean((1, 2, 3))).float().mean().item()


def test_only_strong_views_of_coloured_pictures_are_mirrored_unless_asked():
    assert 0.25 < flipped(fitted(strength="strong")) < 0.75
    assert flipped(fitted(strength="light")) == 0
    assert flipped(fitted(channels=1, strength="strong")) == 0
    assert flipped(fitted(strength="strong", flip=False)) == 0
    assert 0.25 < flipped(fitted(strength="light", flip=True)) < 0.75


def test_jitter_is_brightness_contrast_saturation_and_hue_as_the_slow_way_has_it(rng):
    """Each step by itself on one pixel array in float64, in YIQ, against the one matrix."""
    from kontrast.data.distort.image import STRONG, recolour

    x = torch.from_numpy(0.4 + 0.2 * rng.random((6, 3, 4, 4))).float()  # far from the cut at 0 and 1
    keys = chance.key(0, 0, torch.arange(6), 0)
    got = recolour(x, keys, STRONG)
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    for row, u, y in zip(
        x.double().numpy(), chance.uniform(keys, 6).double().numpy(), got.double().numpy(), strict=True
    ):
        on = u[4] < 0.8
        bright, contrast, saturation = (1 + on * (2 * v - 1) * 0.4 for v in u[:3])
        angle = on * (2 * u[3] - 1) * 0.1 * 2 * np.pi
        yiq = np.einsum("ij,jhw->ihw", to_yiq, row * bright)
        yiq[0] = contrast * yiq[0] + (1 - contrast) * yiq[0].mean()
        chroma = (yiq[1] + 1j * yiq[2]) * np.exp(1j * angle) * saturation * contrast * (u[5] >= 0.2)
        yiq[1], yiq[2] = chroma.real, chroma.imag
        np.testing.assert_allclose(y, np.einsum("ij,jhw->ihw", np.linalg.inv(to_yiq), yiq).clip(0, 1), atol=2e-5)


def test_crops_have_the_area_and_the_place_they_should():
    """An image of its own coordinates shows where every pixel of a view was taken."""
    from kontrast.data.distort.image import STRONG, warp

    n, size = 500, 32
    ramp = (torch.arange(size) + 0.5) / size
    x = torch.stack([ramp.repeat(size, 1), ramp.repeat(size, 1).T]).repeat(n, 1, 1, 1)
    view = warp(x, chance.key(0, 0, torch.arange(n), 0), STRONG)
    # An affine ramp: its slope times the number of pixels is the side of the crop.
    wide = (view[:, 0, :, 20] - view[:, 0, :, 11]).mean(1).abs() / 9 * size
    high = (view[:, 1, 20] - view[:, 1, 11]).mean(1).abs() / 9 * size
    assert (wide * high).min() > 0.15
    assert (wide * high).max() <= 1.001
    assert 0.5 < (wide * high).mean() < 0.65
    assert (wide / high).min() > 0.74
    assert (wide / high).max() < 1.35
    assert view.min() >= 0
    assert view.max() <= 1


# Judging and showing


def test_raw_does_not_depend_on_brightness_or_size(rng):
    image = fitted(32)
    batch = batch_of(rng) // 2
    raw = image.raw(batch)
    assert raw.shape == (12, 3 * 8 * 8)
    torch.testing.assert_close(image.raw(batch + 40), raw, atol=1e-5, rtol=0)
    big = batch.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(fitted(64).raw(big), raw, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_show_holds_the_pixels(rng, channels):
    packed = batch_of(rng, 1, channels)[0].numpy()
    html = fitted(channels=channels).show(packed)
    data = base64.b64decode(re.fullmatch(r'<img alt="" src="data:image/png;base64,(.*)">', html).group(1))
    np.testing.assert_array_equal(read(data), packed)


def test_it_is_found_by_its_name():
    assert isinstance(find.build("modalities", "image", {"size": 16}), Image)
