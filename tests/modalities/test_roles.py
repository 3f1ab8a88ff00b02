"""Roles of views: each modality answers each role in its own units, row by row."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.core.choice import Choice
from kontrast.data.view import Role
from kontrast.encoders.tcn import TCN
from kontrast.modalities.image.image import Image
from kontrast.modalities.series.augmentations.changes import Changes, augment, past
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from tests.support.pictures import fitted as image_of

pytestmark = pytest.mark.quick

ROLES: tuple[Role, ...] = get_args(Role)
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def keys(n, view=0, epoch=0):
    return random_streams.key(0, epoch, torch.arange(n), view)


def pictures(n=24, channels=3, size=32):
    numbers = np.random.default_rng(0).integers(0, 256, (n, channels, size, size), dtype=np.uint8)
    return torch.from_numpy(numbers)


def ramps(n, size):
    """Pictures of their own coordinates: red rises to the right, green downwards."""
    ramp = torch.from_numpy(np.linspace(0, 255, size).astype(np.uint8))
    return torch.stack([ramp.repeat(size, 1), ramp.repeat(size, 1).T, ramp.repeat(size, 1)]).repeat(n, 1, 1, 1)


def series_of(rows, **settings):
    series = Series(**settings)
    series.fit(rows)
    return series, series.collate([series.pack(row) for row in rows])


def text_of(cells, **settings):
    text = Text(**settings)
    items = [text.read(cell, Path()) for cell in cells]
    text.fit(items)
    return text, text.collate([text.pack(item) for item in items])


def modality_of(kind):
    if kind == "image":
        return image_of(), pictures()
    if kind == "series":
        rng = np.random.default_rng(0)
        return series_of([rng.normal(size=(30 + n, 2)).cumsum(0).astype(np.float32) for n in range(24)])
    return text_of([[" ".join(WORDS[: 4 + n % 9]), " ".join(WORDS[n % 9 :])] for n in range(24)])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ["image", "series", "text"])
def test_a_row_s_view_in_a_role_depends_on_that_row_alone(kind, role):
    modality, batch = modality_of(kind)
    before, n = batch.clone(), len(batch)
    seen = modality.augment(batch, keys(n), keys(n, -1), role)
    assert torch.equal(batch.nan_to_num(), before.nan_to_num())
    order = torch.randperm(n)
    shuffled = modality.augment(batch[order], keys(n)[order], keys(n, -1)[order], role)
    torch.testing.assert_close(shuffled, seen[order], atol=1e-5, rtol=0, equal_nan=True)
    for i in (0, 7):
        alone = modality.augment(batch[i : i + 1], keys(n)[i : i + 1], keys(n, -1)[i : i + 1], role)
        torch.testing.assert_close(alone, seen[i : i + 1, ..., : alone.shape[-1]], atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("kind", ["image", "series", "text"])
def test_global_is_what_augment_gives_without_a_role_and_original_what_preprocess_gives(kind):
    modality, batch = modality_of(kind)
    n = len(batch)
    usual = modality.augment(batch.clone(), keys(n), keys(n, -1))
    asked = modality.augment(batch.clone(), keys(n), keys(n, -1), "global")
    torch.testing.assert_close(asked, usual, rtol=0, atol=0, equal_nan=True)
    plain = modality.augment(batch.clone(), keys(n), keys(n, -1), "original")
    torch.testing.assert_close(plain, modality.preprocess(batch.clone()), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("size", "side"), [(16, 16), (32, 16), (64, 24), (96, 40), (224, 96), (8, 8)])
def test_local_pictures_have_three_sevenths_of_the_side(size, side):
    seen = image_of(size).augment(pictures(2, size=size), keys(2), role="local")
    assert seen.shape == (2, 3, side, side)


@pytest.mark.parametrize("strength", ["strong", "light", "none"])
def test_local_pictures_are_small_crops(strength):
    image, n = image_of(64, strength=strength), 400
    seen = image.augment(ramps(n, 64), keys(n), role="local")
    calm = image_of(64, strength="none").augment(ramps(n, 64), keys(n), role="local")
    # An affine ramp from 0 to 255, divided by 255 and by std: its range is the share of the side.
    std = torch.tensor(image.std)[:, None, None]
    wide, high = ((calm[:, c].amax((1, 2)) - calm[:, c].amin((1, 2))) * std[c, 0] * 24 / 23 for c in (0, 1))
    assert 0.04 < (wide * high).min() < 0.08
    assert 0.37 < (wide * high).max() < 0.43
    assert 0.2 < (wide * high).mean() < 0.25  # 0.225 is the middle
    assert torch.allclose(seen, calm, atol=1e-5) == (strength == "none")


def test_weak_and_context_pictures_are_moved_and_never_recoloured():
    image = image_of(32, strength="strong")
    flat = torch.randint(0, 256, (50, 3, 1, 1), dtype=torch.uint8).expand(50, 3, 32, 32)
    for role in ("weak", "context"):
        torch.testing.assert_close(image.augment(flat, keys(50), role=role), image.preprocess(flat), atol=1e-5, rtol=0)
    seen = image.augment(ramps(200, 32), keys(200), role="weak")
    wide = (seen[:, 0].amax((1, 2)) - seen[:, 0].amin((1, 2))) * torch.tensor(image.std[0])
    assert wide.min() > 0.75 * 0.75**0.5  # the stretch of the sides is up to (4/3)^(1/2)
    mirrored = (seen[..., 16:].mean((1, 2, 3)) < seen[..., :16].mean((1, 2, 3))).float().mean()
    assert 0.3 < mirrored < 0.7
    assert (image.augment(ramps(9, 32), keys(9), role="weak") - seen[:9]).abs().max() < 1e-5


def test_light_views_of_all_roles_are_mirrored_by_row():
    """A row that is mirrored in one view is mirrored in all its views and fields."""
    image = Image(size=32, channels=3, strength="light", mean=[0.5] * 3, std=[0.5] * 3)
    row = keys(64, -1)
    falls = []
    for view, role in enumerate(("global", "weak", "local")):
        x = image.augment(ramps(64, 32), keys(64, view), row, role)[:, 0]
        falls.append(x[:, :, -1].mean(1) < x[:, :, 0].mean(1))
    assert 0.3 < falls[0].float().mean() < 0.7
    assert torch.equal(falls[0], falls[1])
    assert torch.equal(falls[0], falls[2])


def test_strong_pictures_are_global_ones_with_a_square_covered():
    image, batch = image_of(32, strength="strong", flip=False), pictures(300)
    seen, usual = (image.augment(batch, keys(300), role=role) for role in ("strong", "global"))
    covered = seen != usual
    assert (seen[covered] == 0).all()
    shares = covered.any(1).float().mean((1, 2))
    assert 0.05 < shares.min() < 0.1  # a corner: a quarter of the square
    assert 0.24 < shares.max() <= 0.26  # the square
    light = image_of(32, strength="light", flip=False).augment(batch, keys(300), role="strong")
    assert torch.equal(light, seen)
    none = image_of(32, strength="none")
    for role in ("weak", "strong", "context", "global"):  # switched off
        assert torch.equal(none.augment(batch, keys(300), role=role), none.preprocess(batch))


def test_a_chosen_augmentation_changes_the_roles_it_names_only():
    batch, plain = pictures(12), image_of(32)
    blurred = Image(size=32, channels=3, mean=plain.mean, std=plain.std, augmentation=Choice("blur", {"share": 1.0}))
    changed = {
        role: not torch.equal(blurred.augment(batch, keys(12), role=role), plain.augment(batch, keys(12), role=role))
        for role in ROLES
    }
    assert {role for role in ROLES if changed[role]} == {"global", "local", "strong"}


def test_local_series_are_short_windows_of_the_row():
    series, batch = series_of(
        [np.arange(100, dtype=np.float32), np.arange(40, dtype=np.float32)] * 100,
        normalise="none", stretch=0, warp=0, scale=0, shift=0, noise=0, gaps=0,
    )  # fmt: skip
    seen = series.augment(batch, keys(200), role="local")
    assert seen.shape == (200, 1, 40)
    known = seen.isfinite()[:, 0]
    assert torch.equal(known, known.cummin(1).values.bool())  # nothing but the end is missing
    steps = seen[:, 0].diff(dim=1)
    assert (steps[known[:, 1:]] - 1).abs().max() < 1e-4
    for rows, length in ((slice(0, 200, 2), 100), (slice(1, 200, 2), 40)):
        lengths = known[rows].sum(1)
        assert lengths.min() >= 0.1 * length
        assert 0.35 * length < lengths.max() <= 0.4 * length
        last = seen[rows, 0].nan_to_num(-1).amax(1)
        assert last.max() <= length - 1
        assert last.max() > 0.9 * length


def test_local_series_hide_a_share_of_their_own_window():
    series, batch = series_of([np.arange(200, dtype=np.float32)] * 200, normalise="none", gaps=0.6)
    seen = series.augment(batch, keys(200), role="local")[:, 0]
    hidden = [(row[: int(row.isfinite().nonzero().max()) + 1]).isnan().float().mean().item() for row in seen]
    assert 0.15 < np.mean(hidden) < 0.35  # three spans of up to a fifth


def test_weak_series_are_windows_without_any_other_change():
    series, batch = series_of([np.arange(50, dtype=np.float32)] * 100, normalise="none")
    seen = series.augment(batch, keys(100), role="weak")
    steps = seen[:, 0].diff(dim=1)
    assert (steps[steps.isfinite()] - 1).abs().max() < 1e-4
    lengths = seen.isfinite().sum(2)
    assert lengths.min() >= 40
    assert lengths.max() <= 50
    whole, _ = series_of([np.arange(50, dtype=np.float32)] * 100, normalise="none", crop=1.0)
    torch.testing.assert_close(whole.augment(batch, keys(100), role="weak"), batch)


def test_context_series_are_the_past():
    rows = [np.arange(n, dtype=np.float32) for n in (9, 4, 1)]
    series, batch = series_of(rows, normalise="none")
    seen = series.augment(batch, keys(3), role="context")[:, 0]
    assert seen.shape == (3, 5)
    for row, n in zip(seen, (5, 2, 1), strict=True):
        assert row[:n].tolist() == list(range(n))
        assert row[n:].isnan().all()
    scaled, _ = series_of(rows, normalise="series")
    later = batch.clone()
    later[0, 0, 5:] *= 100  # what follows has no effect on the past
    assert torch.equal(
        scaled.augment(later, keys(3), role="context").nan_to_num(9),
        scaled.augment(batch, keys(3), role="context").nan_to_num(9),
    )
    assert past(batch, 1.0).shape == batch.shape


def test_strong_series_change_more_and_what_is_switched_off_stays_off():
    rows = [np.sin(np.arange(100) / 5 + n).astype(np.float32) for n in range(50)]
    series, batch = series_of(rows, crop=1.0, stretch=0, warp=0, gaps=0, normalise="none")
    usual, strong = (series.augment(batch, keys(50), role=role) - batch for role in ("global", "strong"))
    assert 1.7 < strong.std() / usual.std() < 2.3
    off, _ = series_of(rows, crop=1.0, stretch=0, warp=0, scale=0, shift=0, noise=0, gaps=0, normalise="none")
    torch.testing.assert_close(off.augment(batch, keys(50), role="strong"), batch)
    loud, _ = series_of(rows, noise=5.0)
    assert loud._changes("strong").noise == 5.0  # never below global


def test_series_of_any_length_have_views_of_all_roles_that_an_encoder_takes():
    rows = [np.arange(n, dtype=np.float32) for n in (1, 2, 3, 5, 8)]
    series, batch = series_of(rows)
    encoder = TCN(channels=2).eval()
    for role in ROLES:
        seen = series.augment(batch, keys(5), keys(5, -1), role)
        assert seen.isfinite().any(2).all()
        assert torch.isfinite(encoder(seen).pooled).all()
    assert augment(batch, keys(5), Changes(crop=0.2, largest_crop=0.3)).shape[-1] == 4


def test_local_texts_are_spans_and_context_texts_the_first_half():
    text, batch = text_of([" ".join(WORDS)] * 300 + ["one", "one two three"])
    whole = batch[0][batch[0] >= 0].tolist()
    n = len(whole)
    lengths, starts = set(), set()
    for row in text.augment(batch, keys(302), role="local")[:300]:
        span = row[row >= 0].tolist()
        start = next(at for at in range(n) if whole[at : at + len(span)] == span)
        lengths.add(len(span))
        starts.add(start)
    assert (min(lengths), max(lengths)) == (max(4, n // 4), max(4, (n - 1) // 2))
    assert min(starts) == 0
    assert len(starts) > n // 2
    context = text.augment(batch, keys(302), role="context")
    assert context[0][context[0] >= 0].tolist() == whole[: -(-n // 2)]
    assert (context >= 0).sum(1).min() >= 1
    short = text.augment(batch, keys(302), role="local")[300:]
    assert torch.equal((short >= 0).sum(1), (batch[300:] >= 0).sum(1).clamp_max(4))


def test_weak_texts_lose_fewer_tokens_than_global_ones_and_strong_ones_more():
    for deletion, shares in ((None, (0.05, 0.15, 0.3)), (0.3, (0.1, 0.3, 0.6)), (0.0, (0, 0, 0))):
        text, batch = text_of([" ".join(WORDS * 3)] * 200, deletion=deletion)
        whole = (text.preprocess(batch) >= 0).sum()
        for role, share in zip(("weak", "global", "strong"), shares, strict=True):
            left = (text.augment(batch, keys(200), role=role) >= 0).sum()
            assert 1 - left / whole == pytest.approx(share, abs=0.02)


def test_special_tokens_stay_in_every_part_of_a_text():
    text, batch = text_of([" ".join(WORDS)] * 20)
    first, last = int(batch[0, 0]), int(batch[0, -1])
    text._special = [first, last]
    for role in ("local", "context", "strong"):
        seen = text.augment(batch, keys(20), role=role)
        assert (seen[:, 0] == first).all()
        assert ((seen == last).sum(1) == 1).all()


@pytest.mark.parametrize("role", ROLES)
def test_the_mark_between_prompt_and_answer_is_never_left_out(role):
    text, batch = text_of(["one two three four turn: five six seven"] * 50, turn="turn:", deletion=0.8)
    seen = text.augment(batch, keys(50), role=role)
    assert ((batch == -2).sum(1) == 1).all()
    assert ((seen == -2).sum(1) == 1).all()
