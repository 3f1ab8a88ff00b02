"""A temperature that is a tensor gets its gradient; Rank-N-Contrast is exact against a slow loop."""

import inspect
import math

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.losses import functional
from tests.support.loss_arguments import LOSSES, D, N, call, randn

pytestmark = pytest.mark.quick

TEMPERED = [
    (name, argument)
    for name in LOSSES
    for argument in inspect.signature(LOSSES[name]).parameters
    if argument in ("temperature", "centre_temperature", "scale", "bias")
    and "Tensor" in str(inspect.signature(LOSSES[name]).parameters[argument].annotation)
]


@pytest.mark.parametrize(("name", "argument"), TEMPERED)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_temperature_that_is_a_tensor_gets_its_gradient(name, argument, shape):
    """Against central differences of the value, in float64; and the embeddings get the same as with a number."""
    at, step = (-0.7 if argument == "bias" else 0.6), 1e-5
    learned = torch.full(shape, at, dtype=torch.float64, requires_grad=True)
    value = call(name, **{argument: learned})
    torch.testing.assert_close(value, call(name, **{argument: at}), rtol=1e-9, atol=1e-9)
    (slope,) = torch.autograd.grad(value, learned)
    up, down = (call(name, **{argument: at + h}).detach().item() for h in (step, -step))
    assert slope.shape == shape
    assert float(slope) == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)
    assert slope.abs() > 1e-6
    of_log = learned.detach().log().requires_grad_() if at > 0 else None  # as CLIP learns it
    if of_log is not None:
        call(name, **{argument: of_log.exp()}).backward()
        torch.testing.assert_close(of_log.grad, slope * at)


def test_the_floor_of_debiased_contrast_hangs_on_the_temperature_too():
    z1, z2 = randn(N, D).requires_grad_(), randn(N, D, seed=1)
    for temperature in (0.5, 2.0):
        learned = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
        value = functional.debiased(z1, z2, prior=0.6, temperature=learned)
        (slope,) = torch.autograd.grad(value, learned)
        up, down = (
            functional.debiased(z1, z2, prior=0.6, temperature=temperature + h).detach().item() for h in (1e-6, -1e-6)
        )
        assert float(slope) == pytest.approx((up - down) / 2e-6, rel=1e-4)


def slow_rnc(z, y, temperature=2.0):
    z, losses = z.double(), []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        s = {k: -torch.linalg.vector_norm(z[i] - z[k]) / temperature for k in others}
        far = {k: abs(y[i] - y[k]) for k in others}
        losses.append(
            torch.stack([
                torch.stack([s[k] for k in others if far[k] >= far[j]]).logsumexp(0) - s[j] for j in others
            ]).mean()
        )  # fmt: skip
    return torch.stack(losses).mean()


def test_rank_n_contrast_is_exact_for_skewed_targets_and_for_tight_clusters():
    g = torch.Generator().manual_seed(0)
    y = torch.exp(6 * torch.randn(24, generator=g, dtype=torch.float64))  # from about 1e-6 to 1e6
    y[1], y[3] = y[0], y[2] * (1 + 1e-12)
    z = torch.randn(24, D, generator=g)
    tight = torch.cat([z[:12] * 1e-3, z[12:] * 1e-3 + 10])  # float32 squares of 400 leave nothing of 1e-6
    for rows in (z, tight):
        one, two = rows.clone().requires_grad_(), rows.clone().requires_grad_()
        found, wanted = functional.rnc(one, y), slow_rnc(two, y.tolist())
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-6)
        found.backward()
        wanted.backward()
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6)


def test_rank_n_contrast_leaves_out_rows_without_a_target():
    z, y = randn(N, D), randn(N, seed=1)
    gone = y.clone()
    gone[2] = math.nan
    kept = torch.arange(N) != 2
    torch.testing.assert_close(functional.rnc(z, gone), functional.rnc(z[kept], y[kept]))
    as_list = [None if math.isnan(v) else v for v in gone.tolist()]
    torch.testing.assert_close(functional.rnc(z, as_list), functional.rnc(z, gone))
    with pytest.raises(UserError, match="positive"):
        functional.rnc(z, [None] * N)
