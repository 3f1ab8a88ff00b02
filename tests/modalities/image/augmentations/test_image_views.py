"""Views of pictures: drawn by row and key alone, as strong as they say, and each as a slow way has it."""

import base64
import re

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.modalities.image.image import Image
from tests.support.pictures import fitted, read

pytestmark = pytest.mark.quick


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def batch_of(rng, n=12, channels=3, size=32):
    return torch.from_numpy(rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8))


@pytest.mark.parametrize("strength", ["strong", "light", "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_s_view_is_the_same_alone_and_in_any_batch(rng, strength, channels):
    image = fitted(channels=channels, strength=strength)
    batch, keys = batch_of(rng, channels=channels), random_streams.key(3, 1, torch.arange(12), 0)
    before = batch.clone()
    views = image.augment(batch, keys)
    order = torch.randperm(12)
    torch.testing.assert_close(image.augment(batch[order], keys[order]), views[order], atol=2e-6, rtol=0)
    for i in (0, 7):
        torch.testing.assert_close(
            image.augment(batch[i : i + 1], keys[i : i + 1]), views[i : i + 1], atol=2e-6, rtol=0
        )
    assert torch.equal(batch, before)
    assert views.shape == batch.shape
    assert views.dtype == torch.float32
    assert views.min() >= -2
    assert views.max() <= 2


def test_other_keys_give_other_views(rng):
    image = fitted()
    batch = batch_of(rng, 1).expand(64, 3, 32, 32)
    views = image.augment(batch, random_streams.key(0, 0, torch.arange(64), 0)).flatten(1)
    assert torch.pdist(views).min() > 1
    again = image.augment(batch, random_streams.key(0, 0, torch.arange(64), 1)).flatten(1)
    assert (views - again).norm(dim=1).min() > 1


def test_strength_none_is_plain(rng):
    image = fitted(strength="none")
    batch = batch_of(rng)
    assert torch.equal(image.augment(batch, torch.arange(12)), image.preprocess(batch))


def test_light_views_stay_nearer_than_strong_ones(rng):
    batch = torch.from_numpy(np.linspace(0, 255, 32, dtype=np.uint8)).repeat(64, 3, 32, 1)
    keys = random_streams.key(0, 0, torch.arange(64), 0)
    far = [
        (image.augment(batch, keys) - image.preprocess(batch)).abs().mean()
        for image in (fitted(strength="strong"), fitted(strength="light"))
    ]
    assert far[1] < 0.6 * far[0]


def flipped(image, n=64):
    """The share of views of a ramp that rises to the right in which it falls."""
    C = image.channels
    batch = torch.from_numpy(np.linspace(0, 255, 32, dtype=np.uint8)).repeat(n, C, 32, 1)
    views = image.augment(batch, random_streams.key(0, 0, torch.arange(n), 0))
    return (views[..., 16:].mean((1, 2, 3)) < views[..., :16].mean((1, 2, 3))).float().mean().item()


def test_only_strong_views_of_coloured_pictures_are_mirrored_unless_asked():
    assert 0.25 < flipped(fitted(strength="strong")) < 0.75
    assert flipped(fitted(strength="light")) == 0
    assert flipped(fitted(channels=1, strength="strong")) == 0
    assert flipped(fitted(strength="strong", flip=False)) == 0
    assert 0.25 < flipped(fitted(strength="light", flip=True)) < 0.75


def test_pictures_that_are_something_else_in_a_mirror_are_not_mirrored(rng):
    """Ramps that rise to the right, all of them or half; the rest of each picture is noise."""
    ramp = np.linspace(0, 160, 32).astype(np.uint8)[None, None] + np.zeros((3, 32, 1), np.uint8)
    noise = rng.integers(0, 90, (200, 3, 4, 4), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    rising = list(ramp + noise)
    either = [x if n % 2 else x[:, :, ::-1] for n, x in enumerate(rising)]
    for items, mirrored in ((rising, False), (either, True)):
        for strength in ("strong", "light"):
            image = Image(strength=strength)
            image.fit(items)
            rows = torch.arange(64)
            batch = torch.from_numpy(np.ascontiguousarray(ramp)).repeat(64, 1, 1, 1)
            views = image.augment(batch, random_streams.key(0, 0, rows, 0), random_streams.key(0, 0, rows, -1))
            share = (views[..., 16:].mean((1, 2, 3)) < views[..., :16].mean((1, 2, 3))).float().mean().item()
            assert (0.25 < share < 0.75) == mirrored
            assert image.note().startswith("also mirrored: " if mirrored else "not mirrored: ")
    asked = Image(flip=True)
    asked.fit(rising)
    assert 0.25 < flipped(asked) < 0.75
    assert asked.note() == ""


def test_jitter_is_brightness_contrast_saturation_and_hue_as_the_slow_way_has_it(rng):
    """Each step by itself on one pixel array in float64, in YIQ, against the one matrix."""
    from kontrast.modalities.image.augmentations.pipeline import STRONG, recolour

    x = torch.from_numpy(0.4 + 0.2 * rng.random((6, 3, 4, 4))).float()  # far from the cut at 0 and 1
    keys = random_streams.key(0, 0, torch.arange(6), 0)
    got = recolour(x, keys, STRONG)
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    for row, u, y in zip(
        x.double().numpy(), random_streams.uniform(keys, 6).double().numpy(), got.double().numpy(), strict=True
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
    from kontrast.modalities.image.augmentations.pipeline import STRONG, warp

    n, size = 500, 32
    ramp = (torch.arange(size) + 0.5) / size
    x = torch.stack([ramp.repeat(size, 1), ramp.repeat(size, 1).T]).repeat(n, 1, 1, 1)
    view = warp(x, random_streams.key(0, 0, torch.arange(n), 0), STRONG)
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
