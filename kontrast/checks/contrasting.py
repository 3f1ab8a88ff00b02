"""Checks of contrastive losses, one property each, against slow float64 loops."""

from typing import cast

import torch
from torch import Tensor

from kontrast.checks.fixtures import FORMS, RELATIONS, rows_of, similarity, weights_of
from kontrast.checks.results import Broken, Doubt, Make, Property, finite, near
from kontrast.core.embeddings import Embeddings, LossTerm, Stack
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relation import Distinct, Relation, named
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.tile_weights import TILE, Weights


def _built(make: Make) -> ContrastiveLoss:
    return cast(ContrastiveLoss, make().double())


def _kernel(temperature: float = 0.5) -> Cosine:
    return cast(Cosine, Cosine(temperature=temperature).double())


def _mean(
    loss: ContrastiveLoss,
    anchors: Embeddings | Stack,
    candidates: Embeddings | Stack,
    relation: Relation,
    tile: int = TILE,
) -> LossTerm:
    return contrast(anchors, candidates, relation, loss=loss, kernel=_kernel(), tile=tile)


def each_anchor_alone(make: Make) -> str:
    """The engine gives the values and gradients of `per_anchor` on one anchor at a time.

    Compares sum, count, gradient and the loss of each row.
    """
    rows = rows_of()
    for name, relation in RELATIONS.items():
        total, count, each = _one_by_one(_built(make), rows, relation)
        loss = _built(make)
        mean = _mean(loss, rows, rows, relation)
        against = f"relation {name}: a tile of anchors, against one at a time: the"
        alone = per_row(rows, rows, relation, loss=loss, kernel=_kernel())
        near(f"{against} loss of a row", [alone.nan_to_num(0.0)], [each], absolute=1e-9)
        near(f"{against} count", [mean.count], [count], absolute=1e-9)
        near(f"{against} sum", [mean.total], [total], absolute=1e-9)
        slopes = [torch.autograd.grad(value, rows.z)[0] for value in (mean.total, total)]
        near(f"{against} gradient", slopes[:1], slopes[1:], absolute=1e-9)
    return f"{len(rows)} anchors, {len(RELATIONS)} relations: values, counts and gradients"


def _one_by_one(loss: ContrastiveLoss, rows: Embeddings, relation: Relation) -> tuple[Tensor, Tensor, Tensor]:
    """Sum, count and loss of each row, by a slow loop over anchors."""
    left, right = named(rows), named(rows)
    a, c = _kernel()(rows.z, rows.z)
    P, Q = (relation & Distinct()).weights(
        {k: v[:, None] for k, v in left.items()}, {k: v[None] for k, v in right.items()}
    )
    total, count, found = a.sum() * 0, a.new_zeros(()), a.new_zeros(len(rows))
    for i in range(len(rows)):
        shape = (1, 1, len(rows))
        positives = Weights(shape, P[i].double()[None, None])
        candidates = Weights(shape, torch.ones_like(P[i])[None, None] if Q is None else Q[i][None, None])
        weight = loss.counted(positives, candidates).double().sum()
        each = loss.per_anchor((a[i] @ c.mT)[None, None], positives, candidates)
        if each.shape != (1, 1):
            raise Broken(f"per_anchor gave a shape {tuple(each.shape)} for one anchor; expected (1, 1)")
        if weight:
            total, count, found[i] = total + weight * each.sum(), count + weight, each.detach().sum()
    return total, count, found


def own_slope(make: Make) -> str:
    """`slope` gives the losses and gradients that autograd gives, parameters included."""
    weight = torch.rand(similarity().shape[:2], generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    for form in FORMS:
        loss, (positives, candidates) = _built(make), weights_of(form)
        counted = weight * (loss.counted(positives, candidates) > 0)
        value, d_s, scale, *rest = loss.slope(similarity(), positives, candidates, counted)
        wanted, d_wanted, one, *rest_wanted = ContrastiveLoss.slope(loss, similarity(), positives, candidates, counted)
        counts = counted > 0
        near(f"{form} weights: the value of slope()", [value[counts]], [wanted[counts]])
        near(f"{form} weights: d loss / d similarity", [d_s * scale[..., None]], [d_wanted * one[..., None]])
        if len(rest) != len(rest_wanted):
            raise Broken(f"slope() gives {len(rest)} gradients of parameters; the loss has {len(rest_wanted)}")
        near(f"{form} weights: d loss / d parameters", rest, rest_wanted)
    return "its own" if type(loss).slope is not ContrastiveLoss.slope else "autograd's"


def finite_differences(make: Make) -> str:
    """The gradient matches finite differences of the value.

    A loss that stops gradients on purpose differs, so a mismatch is only a doubt.
    """
    loss, (positives, candidates) = _built(make), weights_of("dense")
    counts = (loss.counted(positives, candidates) > 0).double()
    step, g = 1e-6, torch.Generator().manual_seed(2)
    _, d_s, scale, *_ = loss.slope(similarity(), positives, candidates, counts)
    for _ in range(3):
        way = torch.randn(similarity().shape, generator=g, dtype=torch.float64)
        with torch.no_grad():
            there, back = (
                torch.where(counts > 0, loss.per_anchor(similarity() + h * way, positives, candidates), 0).sum()
                for h in (step, -step)
            )
        found, wanted = (d_s * scale[..., None] * way).sum().item(), ((there - back) / (2 * step)).item()
        if not abs(found - wanted) <= 1e-4 * (1e-3 + abs(wanted)):
            raise Doubt(
                f"the gradient along a random direction is {found:.6g}, finite differences of the value give "
                f"{wanted:.6g}: right only if it stops a gradient on purpose"
            )
    return "3 random directions"


def listed_or_dense(make: Make) -> str:
    """Listed and dense weights give the same, and the loss does not modify them."""
    (P, Q), (p, q), loss = weights_of("dense"), weights_of("listed"), _built(make)
    near("counted() of listed weights", [loss.counted(p, q).double()], [loss.counted(P, Q).double()])
    counts = loss.counted(P, Q) > 0
    found = [loss.per_anchor(similarity(), *both)[counts] for both in ((p, q), (P, Q))]
    near("per_anchor of listed weights", found[:1], found[1:])
    for form, both in (("dense", (P, Q)), ("listed", (p, q))):
        before = [w.values.double() for w in weights_of(form)]
        near(f"{form} weights, written to by the loss: one", [w.values.double() for w in both], before)
    return "one value in both forms"


def any_tiling(make: Make) -> str:
    """Value, count and gradient do not depend on the number of anchors per tile."""
    rows = rows_of()
    for name, relation in RELATIONS.items():
        found: list[tuple[Tensor, ...]] = []
        for tile in (1, 150, 1 << 20):
            loss = _built(make)
            mean = _mean(loss, rows, rows, relation, tile)
            grads = torch.autograd.grad(mean.total, [rows.z, *loss.parameters()])
            each = per_row(rows, rows, relation, loss=loss, kernel=_kernel(), tile=tile)
            found.append((mean.total.detach(), mean.count, *grads, each.nan_to_num(0.0)))
        for what, one, *others in zip(
            ("the sum", "the count", "the gradient", *["a parameter's gradient"] * (len(found[0]) - 4), "a row's loss"),
            *reversed(found),
            strict=True,
        ):
            finite(f"relation {name}: {what}", one)
            for tile, other in zip(("3 anchors a tile", "1 anchor a tile"), others, strict=True):
                near(f"relation {name}: {what}, {tile}", [other], [one], relative=1e-8, absolute=1e-9)
    return f"1, 3 and {len(rows)} anchors a tile, {len(RELATIONS)} relations"


def any_order(make: Make) -> str:
    """Value and gradient do not depend on the order of rows and candidates."""
    rows, loss, relation = rows_of(), _built(make), RELATIONS["listed"]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    one = _mean(loss, rows, rows, relation)
    two = _mean(loss, rows[order], rows[order.flip(0)], relation)
    near("the value of rows in another order", [two.value(), two.count], [one.value(), one.count])
    slopes = [torch.autograd.grad(mean.total, rows.z)[0] for mean in (two, one)]
    near("the gradient of rows in another order", slopes[:1], slopes[1:], absolute=1e-9)
    return "anchors and candidates permuted"


def stacks(make: Make) -> str:
    """A stack of problems gives the same as each problem alone."""
    rows, loss, relation = rows_of(n=6), _built(make), RELATIONS["listed"]
    g = torch.Generator().manual_seed(3)
    z = torch.randn(3, *rows.z.shape, generator=g, dtype=torch.float64, requires_grad=True)
    stack = Stack(z, {name: key[None] for name, key in rows.keys.items()})
    parts = [Embeddings(one, rows.keys) for one in z]
    each = [per_row(part, part, relation, loss=loss, kernel=_kernel()) for part in (stack, *parts)]
    near("of 3 problems at once, the loss of a row", [each[0].nan_to_num(0)], [torch.stack(each[1:]).nan_to_num(0)])
    totals = [_mean(loss, part, part, relation).total for part in (stack, *parts)]
    near("of 3 problems at once, the sum", totals[:1], [torch.stack(totals[1:]).sum()], absolute=1e-9)
    slopes = [torch.autograd.grad(total, z)[0] for total in (totals[0], torch.stack(totals[1:]).sum())]
    near("of 3 problems at once, the gradient", slopes[:1], slopes[1:], absolute=1e-9)
    return "3 problems at once and one by one"


def any_size_and_precision(make: Make) -> str:
    """Value and gradient are finite for half precision, zeros and huge vectors."""
    rows = rows_of()
    one_zero = torch.ones(len(rows), 1).double()
    one_zero[0] = 0
    for words, size in (("zeros", 0.0), ("vectors of 1e4", 1e4), ("one zero among others", one_zero)):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            z = (rows.z.detach() * size).to(dtype).requires_grad_()
            both = Embeddings(z, rows.keys)
            loss = cast(ContrastiveLoss, make())
            value = contrast(both, both, SameKey("label"), loss=loss, kernel=Cosine(temperature=0.05)).value()
            finite(f"the value of {words}, {dtype}", value.detach())
            finite(f"the gradient of {words}, {dtype}", torch.autograd.grad(value, z)[0])
    return "zeros and 1e4, in float16, bfloat16 and float32"


def without_positives(make: Make) -> str:
    """Anchors without a positive leave no trace, unless the loss counts them."""
    ids = torch.arange(5)
    alone = Embeddings(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), {"id": ids, "view": 0 * ids})
    mean = contrast(alone, alone, SameKey("id"), loss=cast(ContrastiveLoss, make()), kernel=Cosine())
    if mean.count:
        near("the count of 5 rows, none with a positive,", [mean.count], [torch.tensor(5.0)])
        finite("the value without any positive", mean.value())
        return "counted by the loss"
    rows, loss, relation = rows_of(), _built(make), SameKey("label")
    have = (rows.keys["label"][:, None] == rows.keys["label"][None]).sum(1) > 2
    rows.keys["label"].copy_(torch.where(have, rows.keys["label"], 100 + torch.arange(len(rows))))
    both = [_mean(loss, anchors, rows, relation) for anchors in (rows, rows[have])]
    near("with anchors that have no positive, the sum", [both[0].total], [both[1].total], absolute=1e-9)
    near("with anchors that have no positive, the count", [both[0].count], [both[1].count])
    slopes = [torch.autograd.grad(mean.total, rows.z)[0] for mean in both]
    near("with anchors that have no positive, the gradient", slopes[:1], slopes[1:], absolute=1e-9)
    return f"{int((~have).sum())} of {len(rows)} dropped without a trace"


def repeatable(make: Make) -> str:
    """The same call gives the same numbers and leaves the loss's state unchanged."""
    rows, loss = rows_of(), _built(make)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    values = [_mean(loss, rows, rows, RELATIONS["dense"]).total.detach() for _ in range(3)]
    near("the second call", values[1:2], values[:1], relative=0, absolute=0)
    near("the third call", values[2:], values[:1], relative=0, absolute=0)
    after = loss.state_dict()
    near("what the loss keeps, after three calls:", after.values(), before.values(), relative=0, absolute=0)
    return "three calls, one value"


def better_costs_less(make: Make) -> str:
    """Agreeing views on separate axes cost less than mixed-up views."""
    ids = torch.arange(6)
    keys = {"id": ids.repeat(2), "view": torch.arange(12) // 6}
    eye = torch.eye(6, dtype=torch.float64)
    good, bad = (
        contrast(
            rows := Embeddings(torch.cat([eye, second]), keys),
            rows,
            SameKey("id"),
            loss=_built(make),
            kernel=_kernel(1.0),
        ).value()
        for second in (eye, eye.roll(1, 0))
    )
    if not good < bad:
        raise Doubt(f"views that agree cost {good.item():.6g}, views mixed up cost {bad.item():.6g}")
    return f"{good.item():.4g} against {bad.item():.4g}"


PROPERTIES: dict[str, Property] = {
    "each anchor counts alone": each_anchor_alone,
    "slope is autograd's": own_slope,
    "slope is the value's": finite_differences,
    "weights listed or dense": listed_or_dense,
    "any tiling": any_tiling,
    "any order of rows": any_order,
    "stacks": stacks,
    "any size and precision": any_size_and_precision,
    "rows without positives": without_positives,
    "repeatable": repeatable,
    "better costs less": better_costs_less,
}
