"""Checks of losses over aligned pairs, cluster assignments and preferences, one property each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kontrast.checks.fixtures import rows_of
from kontrast.checks.results import Broken, Doubt, Make, Property, finite, near
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.preference_loss import Answers, PreferenceLoss

N, WIDTH = 20, 6


def _sides(seed: int = 0) -> tuple[Tensor, Tensor, Keys]:
    """Two sides of N rows and their keys.

    The second side is near the first, and nearer the higher the row's score.
    """
    rows = rows_of(N, WIDTH, seed)
    x, noise = rows.z.detach().split(N)
    keys = {name: key[:N] for name, key in rows.keys.items()}
    return x.clone(), x + noise / (4 + keys["score"][:, None]), keys


def _each(loss: nn.Module, x: Tensor, y: Tensor, keys: Keys) -> LossTerm:
    """Calls the loss: x is the prediction or chosen, y the target or rejected."""
    if isinstance(loss, AlignmentLoss):
        return loss(Embeddings(x, keys), Embeddings(y, keys))
    if isinstance(loss, ClusteringLoss):
        return loss(x, loss.targets(y, Ranks(alone=True)))
    reference, length = keys["soft"].to(x.dtype), keys["score"] + 3
    return loss(Answers(x.sum(-1), reference[:, 0], length), Answers(y.sum(-1), reference[:, 1], 15 - length))


def _value(mean: LossTerm) -> Tensor:
    return mean.total.double() / mean.count


def each_pair_alone(make: Make) -> str:
    """A batch's sum is that of its pairs, unless the loss needs whole batches."""
    x, y, keys = _sides()
    loss = make().double()
    if isinstance(loss, AlignmentLoss) and loss.whole:
        mean = _each(loss, x, y, keys)
        near("the count of a loss that needs the whole batch", [mean.count], [torch.tensor(1.0)])
        return "needs the whole batch (`whole`)"
    cut = [slice(k, k + 1) for k in range(N)]
    if isinstance(loss, ClusteringLoss):
        q = loss.targets(y, Ranks(alone=True))
        whole, parts = loss(x, q), [loss(x[k], q[k]) for k in cut]
    else:
        whole = _each(loss, x, y, keys)
        parts = [_each(loss, x[k], y[k], {name: key[k] for name, key in keys.items()}) for k in cut]
    near("the count of a batch, against pair by pair,", [whole.count], [torch.stack([p.count for p in parts]).sum()])
    near("the sum of a batch, against pair by pair,", [whole.total], [torch.stack([p.total for p in parts]).sum()])
    return f"{N} pairs at once and one by one"


def finite_differences(make: Make) -> str:
    """The gradient of each side matches finite differences of the value."""
    x, y, keys = _sides()
    loss, step, g = make().double(), 1e-6, torch.Generator().manual_seed(2)
    value = _value(_each(loss, x.requires_grad_(), y.requires_grad_(), keys))
    slopes = torch.autograd.grad(value, [x, y], allow_unused=True)
    way, sides = torch.randn(x.shape, generator=g, dtype=torch.float64), 0
    for side, slope in enumerate(slopes):
        if slope is None or not slope.any():
            continue
        moves = [(h * way * (side == 0), h * way * (side == 1)) for h in (step, -step)]
        with torch.no_grad():
            there, back = (_value(_each(loss, x + left, y + right, keys)).item() for left, right in moves)
        found, wanted = (slope * way).sum().item(), (there - back) / (2 * step)
        sides += 1
        if not abs(found - wanted) <= 1e-4 * (1e-3 + abs(wanted)):
            raise Doubt(
                f"the gradient of side {side + 1} along a random direction is {found:.6g}, finite differences of the "
                f"value give {wanted:.6g}: right only if it stops a gradient on purpose"
            )
    if not sides:
        raise Broken("no gradient reaches either side")
    return "both sides" if sides == 2 else "one side; no gradient reaches the other"


def any_order(make: Make) -> str:
    """The value does not depend on the order of the pairs."""
    x, y, keys = _sides()
    x.requires_grad_()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    loss = make().double()
    one, two = (
        _value(_each(loss, x[i], y[i], {name: key[i] for name, key in keys.items()})) for i in (torch.arange(N), order)
    )
    near("the value of pairs in another order", [two], [one])
    slopes = [torch.autograd.grad(value, x)[0] for value in (two, one)]
    near("the gradient of pairs in another order", slopes[:1], slopes[1:])
    return f"{N} pairs permuted"


def any_size_and_precision(make: Make) -> str:
    """Value and gradient are finite for half precision, zeros and huge vectors."""
    one_zero = torch.ones(N, 1).double()
    one_zero[0] = 0
    x, y, keys = _sides()
    for words, size in (("zeros", 0.0), ("vectors of 1e4", 1e4), ("one zero among others", one_zero)):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            if dtype == torch.float16 and words == "vectors of 1e4":
                continue
            left, right = ((z.detach() * size).to(dtype) for z in (x, y))
            value = _value(_each(make(), left.requires_grad_(), right, keys))
            finite(f"the value of {words}, {dtype}", value.detach())
            finite(f"the gradient of {words}, {dtype}", torch.autograd.grad(value, left)[0])
    return "zeros, in float16, bfloat16 and float32; 1e4 in the latter two"


def repeatable(make: Make) -> str:
    """The same call gives the same numbers and leaves state and inputs unchanged."""
    x, y, keys = _sides()
    loss = make().double()
    before = [value.clone() for value in (*loss.state_dict().values(), x, y)]
    values = [_value(_each(loss, x, y, keys)).detach() for _ in range(3)]
    near("the second call", values[1:2], values[:1], relative=0, absolute=0)
    near("the third call", values[2:], values[:1], relative=0, absolute=0)
    near("state or input after three calls:", [*loss.state_dict().values(), x, y], before, relative=0, absolute=0)
    return "three calls, one value"


def targets_are_distributions(make: Make) -> str:
    """Targets carry no gradient and sum to 1 per row."""
    x, _, _ = _sides()
    loss = make().double()
    if not isinstance(loss, ClusteringLoss):
        return "no assignment"
    q = loss.targets(x.requires_grad_(), Ranks(alone=True))
    if q.requires_grad:
        raise Broken("targets carry a gradient; expected none")
    if q.shape != x.shape or (q < 0).any():
        raise Broken(f"targets of shape {tuple(q.shape)}, least {q.min().item():.3g}; expected {tuple(x.shape)}, >= 0")
    if ((off := (q.sum(1) - 1).abs()) > 1e-9).any():
        raise Doubt(f"a row of targets misses the sum of 1 by {off.max().item():.1e}")
    return f"{N} rows that sum to 1"


def better_costs_less(make: Make) -> str:
    """Agreeing pairs (or a chosen score above the rejected) cost less than the opposite."""
    x, y, keys = _sides()
    loss = make().double()
    sides: Sequence[tuple[Tensor, Tensor]] = ((x, y), (x, y.roll(1, 0)))
    if isinstance(loss, PreferenceLoss):
        sides = ((x.abs(), -x.abs()), (-x.abs(), x.abs()))
    good, bad = (_value(_each(loss, *both, keys)).item() for both in sides)
    if good > bad or good != good or bad != bad:
        raise Doubt(f"right pairs cost {good:.6g}, wrong pairs {bad:.6g}; expected the right ones to cost less")
    return f"{good:.4g} against {bad:.4g}" if good < bad else "does not depend on which rows are paired"


PROPERTIES: dict[str, Property] = {
    "each pair counts alone": each_pair_alone,
    "slope is the value's": finite_differences,
    "any order of rows": any_order,
    "any size and precision": any_size_and_precision,
    "repeatable": repeatable,
    "better costs less": better_costs_less,
}
OF_ASSIGNMENTS: dict[str, Property] = {**PROPERTIES, "targets are distributions": targets_are_distributions}
