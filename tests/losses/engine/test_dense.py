"""Small batches take plain matrices: the values and gradients of the tiled engine, to rounding, whatever comes in."""

import pytest
import torch

from kontrast.losses import functional
from kontrast.losses.alignment import barlow_twins, vicreg
from kontrast.losses.engine import dense
from kontrast.losses.functional import by_label, by_pair, by_view

T = 0.1
LOSSES = {
    "clip": lambda a, b, y, t: functional.clip(a, b, temperature=t),
    "ntxent": lambda a, b, y, t: functional.ntxent(a, b, temperature=t),
    "siglip": lambda a, b, y, t: by_pair.siglip(a, b, scale=1 / t, bias=-t),
    "supcon": lambda a, b, y, t: functional.supcon(torch.cat([a, b]), y.repeat(2), temperature=t),
    "barlow": lambda a, b, y, t: by_pair.barlow(a, b, off=0.05),
    "vicreg": lambda a, b, y, t: by_pair.vicreg(a, b),
}


@pytest.fixture
def tiled(monkeypatch):
    """A switch that sends everything through the engine."""

    def switch():
        monkeypatch.setattr(dense, "small", lambda *_: False)
        monkeypatch.setattr(dense, "SMALL", 0)

    return switch


def batch(case, dtype, n=9, width=6):
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, width, generator=g, dtype=torch.float64) for _ in "12")
    if case == "equal":  # the positive holds all of the mass
        b = a.clone()
    elif case == "collapsed":
        a = b = a[:1].expand(n, -1).clone()
    elif case == "zeros":
        a = torch.cat([a[:-1], 0 * a[:1]])
    elif case == "pair":
        a, b = a[:2], b[:2]
    y = torch.arange(len(a)) % 3
    return *(z.to(dtype).requires_grad_() for z in (a, b)), y


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", ["plain", "equal", "collapsed", "zeros", "pair"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_plain_matrices_give_what_tiles_give(name, case, dtype, tiled):
    if name == "supcon" and case == "pair":
        pytest.skip("the same as nt-xent")
    found, temperatures = [], (T, 0.05 if name == "supcon" else 0.03)
    for temperature in temperatures:
        a, b, y = batch(case, dtype)
        t = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
        value = LOSSES[name](a, b, y, t)
        found.append((value, torch.autograd.grad(value, [a, b, t], allow_unused=True)))
    tiled()
    for temperature, (value, slopes) in zip(temperatures, found, strict=True):
        a, b, y = batch(case, dtype)
        t = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
        wanted = LOSSES[name](a, b, y, t)
        assert value.dtype == wanted.dtype
        # Logits are up to 1 / temperature in size, slopes up to that of one pair; what cancels leaves their rounding.
        rounding = 1e-12 if dtype == torch.float64 else 1e-6
        torch.testing.assert_close(value, wanted, rtol=20 * rounding, atol=20 * rounding)
        theirs = torch.autograd.grad(wanted, [a, b, t], allow_unused=True)
        for one, two in zip(slopes, theirs, strict=True):
            assert (one is None) == (two is None)
            if two is not None:
                tight = 2e-2 if one.dtype == torch.bfloat16 else 100 * rounding
                size = 1 / temperature if one is slopes[2] else max(float(two.abs().max()), 1.0)
                torch.testing.assert_close(one, two, rtol=tight, atol=tight * size)


def test_small_batches_list_no_pairs_and_large_ones_and_several_views_do(monkeypatch):
    seen = []
    for module, name in ((by_view, "contrast"), (by_view, "mutual"), (by_label, "contrast"), (by_pair, "contrast"),
                         (barlow_twins, "contrast"), (vicreg, "contrast")):  # fmt: skip
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, **k: seen.append(1) or real(*a, **k))
    a, b, y = batch("plain", torch.float32, n=64)
    for name in LOSSES:
        LOSSES[name](a, b, y, T)
        assert not seen, name
    functional.ntxent(a, b, a + b)
    assert len(seen) == 1
    large, other, y = batch("plain", torch.float32, n=1030, width=2)
    for name in ("clip", "ntxent", "siglip", "supcon"):
        LOSSES[name](large, other, y, T)
    assert len(seen) == 5


def test_a_small_loss_is_exact_to_its_last_figures():
    """Where pairs agree, the difference of logits would leave nothing but rounding in single precision."""
    a = torch.eye(6)
    for name in ("clip", "ntxent"):
        one = LOSSES[name](a, a, torch.arange(6), 0.05).double()
        two = LOSSES[name](a.double(), a.double(), torch.arange(6), 0.05)
        torch.testing.assert_close(one, two, rtol=1e-4, atol=0)
        assert 0 < one < 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name):
    a, b, y = batch("plain", torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = LOSSES[name](a, b, y, T)
    torch.testing.assert_close(value, LOSSES[name](a, b, y, T))


def test_supcon_without_a_positive_or_too_sharp_goes_to_the_engine():
    a, _, _ = batch("plain", torch.float32)
    with pytest.raises(ValueError, match="has a positive"):
        functional.supcon(a, torch.arange(9))
    labels = torch.tensor([0, 0, 0, 1, 1, 1, -1, -1, 7])
    for temperature in (0.1, 1e-3):
        x = a.detach().requires_grad_()
        value = functional.supcon(x, labels, temperature=temperature)
        exact = functional.supcon(x.double(), labels, temperature=temperature)
        torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=1e-4)
        assert torch.isfinite(torch.autograd.grad(value, x)[0]).all()


@pytest.mark.parametrize("name", LOSSES)
def test_small_batches_have_a_second_derivative(name):
    a, b, y = batch("plain", torch.float64, n=5, width=3)
    assert torch.autograd.gradgradcheck(lambda a, b: LOSSES[name](a, b, y, torch.tensor(0.5)), (a, b))
