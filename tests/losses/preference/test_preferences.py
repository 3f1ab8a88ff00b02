"""Losses of chosen over rejected equal their equations, in value and gradient, at any size and precision."""

import pytest
import torch

from kontrast.losses import functional
from kontrast.losses.preference.dpo import DPO
from kontrast.losses.preference.simpo import SimPO
from kontrast.losses.preference_loss import Answers

pytestmark = pytest.mark.quick


def test_preferences_equal_their_equations_in_value_and_gradient():
    g = torch.Generator().manual_seed(0)
    w, lose, rw, rl = (torch.randn(9, generator=g, dtype=torch.float64) - 5 for _ in range(4))
    nw, nl = (torch.randint(3, 20, (9,), generator=g) for _ in range(2))
    steps = [torch.randn(9, 5, generator=g, dtype=torch.float64) - 1 for _ in range(2)]
    leaves = [x.requires_grad_() for x in (w, lose, *steps)]
    sigmoid = lambda x: 1 / (1 + (-x).exp())  # noqa: E731
    up, down = ([0.1 * sum(0.9**t * v for t, v in enumerate(row)) for row in s] for s in steps)
    rows = range(9)
    expected = {
        "bpr": [-sigmoid(w[i] - lose[i]).log() for i in rows],
        "bpr by a margin": [-sigmoid(w[i] - lose[i] - 0.5).log() for i in rows],
        "dpo": [-sigmoid(0.1 * ((w[i] - rw[i]) - (lose[i] - rl[i]))).log() for i in rows],
        "simpo": [-sigmoid(2 * w[i] / nw[i] - 2 * lose[i] / nl[i] - 1).log() for i in rows],
        "click": [(1 - w[i] + lose[i]).clamp_min(0) for i in rows],
        "cpl": [-(a.exp() / (a.exp() + (0.5 * b).exp())).log() for a, b in zip(up, down, strict=True)],
    }
    found = {
        "bpr": functional.bpr(w, lose),
        "bpr by a margin": functional.bpr(w, lose, margin=0.5),
        "dpo": functional.dpo(w, lose, rw, rl),
        "simpo": functional.simpo(w, lose, nw, nl),
        "click": functional.click(w, lose, margin=1),
        "cpl": functional.cpl(*steps, discount=0.9),
    }
    for name, values in expected.items():
        wanted = sum(values) / 9
        torch.testing.assert_close(found[name], wanted, rtol=1e-12, atol=0, msg=name)
        slopes = [torch.autograd.grad(v, leaves, allow_unused=True) for v in (found[name], wanted)]
        for one, two in zip(*slopes, strict=True):
            assert (one is None) == (two is None)
            if one is not None:
                torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12, msg=name)
    summed = functional.cpl(steps[0].sum(1), steps[1].sum(1))
    torch.testing.assert_close(summed, functional.cpl(*steps))


def test_log_probabilities_of_any_size_and_precision_give_no_nan():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        w = torch.tensor([-6e4, 0.0, -1e4, -1.0], dtype=dtype, requires_grad=True)
        lose, n = w.detach().flip(0), torch.tensor([0, 1, 500, 7])
        for value in (
            functional.bpr(w, lose),
            functional.dpo(w, lose, lose, w),
            functional.simpo(w, lose, n, n),
            functional.cpl(w, lose),
            functional.click(w, lose),
        ):
            assert torch.isfinite(value)
            assert torch.isfinite(torch.autograd.grad(value, w)[0]).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: functional.bpr(s, s[:2]), r"chosen \(11,\), rejected \(2,\); expected one shape"),
        (lambda s: SimPO()(Answers(s), Answers(s)), "simpo: no lengths"),
        (lambda s: DPO()(Answers(s), Answers(s)), "dpo: no reference"),
        (lambda s: functional.bpr(s[:0], s[:0]), "an empty batch"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.randn(11))
