"""Every miner keeps what a slow loop in float64 keeps, in any tiling, and its losses have the gradient of that loop."""

import json
import math

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses.bidirectional import mutual
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.miner import Miner, Seen, unwrapped
from kontrast.losses.pairwise.pair_margin import PairMargin
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relation import Both, Either
from kontrast.losses.relation_json import relation_from_json, relation_to_json
from kontrast.losses.relations.distance_weighted import DistanceWeighted
from kontrast.losses.relations.easy_positive import EasyPositive
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.false_negatives import FalseNegatives
from kontrast.losses.relations.guided import Guided
from kontrast.losses.relations.hard import Hard
from kontrast.losses.relations.hardness import Hardness
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.semi_hard import SemiHard

TEMPERATURE = 0.5
LABEL = SameKey("label")


def rows_of(n=24, width=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    ids = torch.arange(n)
    keys = {
        "id": ids,
        "view": 0 * ids,
        "label": torch.randint(0, 5, (n,), generator=g),
        "content": torch.where(ids < 6, ids // 2, ids),
        "guide": torch.randn(n, 4, generator=g, dtype=torch.float64),
    }
    return Embeddings(torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True), keys)


def cosines(rows):
    z = rows.z / rows.z.norm(dim=1, keepdim=True)
    return (z @ z.mT).tolist()


def split(rows, i):
    """(positives, negatives) of anchor i."""
    y = rows.keys["label"].tolist()
    others = [j for j in range(len(y)) if j != i]
    return [j for j in others if y[j] == y[i]], [j for j in others if y[j] != y[i]]


def hard(rows, c, i, sides="both"):
    P, N = split(rows, i)
    if sides != "negatives" and P:
        P = [min(P, key=lambda j: c[i][j])]
    if sides != "positives" and N:
        N = [max(N, key=lambda j: c[i][j])]
    return P, dict.fromkeys(N, 1.0)


def semi_hard(rows, c, i, margin=None, k=1, easy=False):
    P, N = split(rows, i)
    if easy and P:
        P = [max(P, key=lambda j: c[i][j])]
    if not P:
        return P, dict.fromkeys(sorted(N, key=lambda j: -c[i][j])[: k or len(N)], 1.0)
    far = min(c[i][j] for j in P)
    band = [j for j in N if c[i][j] < far and (margin is None or c[i][j] > far - margin)]
    return P, dict.fromkeys(sorted(band, key=lambda j: -c[i][j])[: k or len(band)], 1.0)


def easy_positive(rows, c, i, hardest=False):
    P, N = split(rows, i)
    P = [max(P, key=lambda j: c[i][j])] if P else P
    N = [max(N, key=lambda j: c[i][j])] if hardest else N
    return P, dict.fromkeys(N, 1.0)


def false_negatives(rows, c, i, margin=0.1):
    P, N = split(rows, i)
    top = max((c[i][j] for j in P), default=math.inf)
    return P, {j: 1.0 for j in N if not c[i][j] > top + margin}


def guided(rows, c, i, margin=0.0, relative=False):
    P, N = split(rows, i)
    g = F.normalize(rows.keys["guide"], dim=1)
    g = (g @ g.mT).tolist()
    top = max((g[i][j] for j in P), default=math.inf)
    limit = top - margin * (abs(top) if relative else 1)
    return P, {j: 1.0 for j in N if not g[i][j] > limit}


def hardness(rows, c, i, strength=5.0):
    P, N = split(rows, i)
    return P, {j: math.exp(strength * c[i][j]) for j in N}


CASES = {
    "hard": (Hard(LABEL), hard),
    "hard positives": (Hard(LABEL, sides="positives"), lambda *a: hard(*a, sides="positives")),
    "hard negatives": (Hard(LABEL, sides="negatives"), lambda *a: hard(*a, sides="negatives")),
    "semi-hard": (SemiHard(LABEL), semi_hard),
    "semi-hard, all within a margin": (SemiHard(LABEL, margin=0.3, k=None), lambda *a: semi_hard(*a, margin=0.3, k=0)),
    "semi-hard, three": (SemiHard(LABEL, k=3), lambda *a: semi_hard(*a, k=3)),
    "easy positive": (EasyPositive(LABEL), easy_positive),
    "easy positive, hard negative": (
        Hard(EasyPositive(LABEL), sides="negatives"),
        lambda *a: easy_positive(*a, hardest=True),
    ),
    "easy positive, semi-hard negative": (SemiHard(EasyPositive(LABEL)), lambda *a: semi_hard(*a, easy=True)),
    "false negatives": (FalseNegatives(LABEL), false_negatives),
    "false negatives, no margin": (FalseNegatives(LABEL, margin=0.0), lambda *a: false_negatives(*a, margin=0)),
    "guided": (Guided(LABEL), guided),
    "guided, margin": (Guided(LABEL, margin=0.2), lambda *a: guided(*a, margin=0.2)),
    "guided, relative": (Guided(LABEL, margin=0.2, how="relative"), lambda *a: guided(*a, margin=0.2, relative=True)),
    "hardness": (Hardness(LABEL), hardness),
}  # fmt: skip


def slow_infonce(rows, pick):
    """(sum, count) of InfoNCE by a loop over anchors, of the pairs that `pick` keeps."""
    unit = rows.z / rows.z.norm(dim=1, keepdim=True)
    s, c = unit @ unit.mT / TEMPERATURE, cosines(rows)
    total, count = rows.z.sum() * 0, 0
    for i in range(len(rows)):
        P, N = pick(rows, c, i)
        if P:
            mass = sum(s[i, j].exp() for j in P) + sum(w * s[i, j].exp() for j, w in N.items())
            total, count = total + mass.log() - s[i, P].mean(), count + 1
    return total, count


def kernel():
    return Cosine(temperature=TEMPERATURE).double()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tile", [30, 1 << 20])
def test_a_miner_keeps_what_a_slow_loop_keeps(case, tile):
    relation, pick = CASES[case]
    rows = rows_of()
    mean = contrast(rows, rows, relation, loss=InfoNCE(), kernel=kernel(), tile=tile)
    total, count = slow_infonce(rows, pick)
    assert mean.count == count > 10
    torch.testing.assert_close(mean.total, total, rtol=1e-7, atol=1e-7)  # the kernel keeps a float32 temperature
    grads = [torch.autograd.grad(one, rows.z)[0] for one in (mean.total, total)]
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-7)
    each = per_row(rows, rows, relation, loss=InfoNCE(), kernel=kernel(), tile=tile)
    torch.testing.assert_close(each.nansum(), total.detach(), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_it_stands_before_or_after_what_is_joined_to_it_and_goes_to_json(case):
    relation = CASES[case][0]
    inner = relation
    while isinstance(inner.of, Miner):
        inner = inner.of
    rows, twins = rows_of(), ExcludeDuplicates("content")
    inside = type(relation)(**{**vars(relation), "of": relation.of & twins})
    values = [
        contrast(rows, rows, r, loss=InfoNCE(), kernel=kernel()).total
        for r in (relation & twins, twins & relation, inside)
    ]
    torch.testing.assert_close(values[1:], values[:1] * 2)
    assert relation_from_json(json.loads(json.dumps(relation_to_json(relation & twins)))) == relation & twins


def test_a_miner_inside_of_an_alternative_is_refused_in_words():
    with pytest.raises(UserError, match="the miner Hard stands inside Either"):
        unwrapped(Either(SameKey("id"), Hard(LABEL)))
    with pytest.raises(UserError, match="the miner Hard stands inside Times"):
        unwrapped(Both(SameKey("id"), 2 * Hard(LABEL)))


def test_batch_hard_is_the_triplet_losses_own():
    rows = rows_of()
    mined = contrast(rows, rows, Hard(LABEL), loss=Triplet(margin=0.3), kernel=kernel())
    own = contrast(rows, rows, LABEL, loss=Triplet(margin=0.3, triplets="hard"), kernel=kernel())
    torch.testing.assert_close([mined.total, mined.count], [own.total, own.count])


def test_both_directions_mine_each_for_itself():
    """The symmetric path cannot mine, and steps aside."""
    rows = rows_of(n=10)
    one, two = rows, Embeddings(rows.z.flip(1), {**rows.keys, "view": rows.keys["view"] + 1})
    relation = FalseNegatives(SameKey("id"), margin=0.0)
    forth, back = mutual(one, two, relation, loss=InfoNCE(), kernel=kernel())
    again = contrast(two, one, relation, loss=InfoNCE(), kernel=kernel())
    torch.testing.assert_close(back.total, again.total)
    plain, _ = mutual(one, two, SameKey("id"), loss=InfoNCE(), kernel=kernel())
    assert forth.total < plain.total


def test_drawn_negatives_are_as_many_as_positives_the_same_in_any_tiling_and_others_with_another_seed():
    rows = rows_of(n=30)

    def drawn(relation, tile=1 << 20, of=rows):
        losses = [contrast(of, of, relation, loss=InfoNCE(), kernel=kernel(), tile=tile)]
        return losses[0].total.item(), float(losses[0].negatives)

    positives = sum(len(split(rows, i)[0]) for i in range(30))
    total, negatives = drawn(DistanceWeighted(LABEL, limit=2.0))
    assert negatives == positives
    assert drawn(DistanceWeighted(LABEL, limit=2.0), tile=40) == pytest.approx((total, negatives))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    shuffled = Embeddings(rows.z[order], {k: v[order] for k, v in rows.keys.items()})
    assert drawn(DistanceWeighted(LABEL, limit=2.0), of=shuffled) == pytest.approx((total, negatives))
    assert drawn(DistanceWeighted(LABEL, limit=2.0, seed=1))[0] != pytest.approx(total)
    step = Embeddings(rows.z, {**rows.keys, "step": torch.full((30,), 7)})
    assert drawn(DistanceWeighted(LABEL, limit=2.0, lot="step"), of=step)[0] != pytest.approx(total)
    assert drawn(DistanceWeighted(LABEL, limit=2.0, k=2))[1] == 60


def test_drawn_negatives_follow_one_over_the_density_of_distances():
    """Frequencies over many lots against the weights of a slow loop, one draw each."""
    width, cutoff, limit = 6, 0.5, 1.4
    d = torch.tensor([0.2, 0.6, 0.9, 1.2, 1.35, 1.5], dtype=torch.float64)
    M, lots = len(d) + 1, 4000
    s = torch.cat([torch.tensor([0.9], dtype=torch.float64), 1 - d.square() / 2]).expand(1, lots, M)
    P = torch.zeros(1, lots, M, dtype=torch.float64)
    P[..., 0] = 1
    keys = {"row": torch.arange(lots)[None, :, None] * 77}, {"row": torch.arange(M)[None, None] + 10**6}
    seen = Seen(s, P, torch.ones_like(P), *keys, unit=1.0, width=width)
    _, candidates = DistanceWeighted(LABEL, cutoff=cutoff, limit=limit).pick(seen)
    found = candidates[0, :, 1:].mean(0)
    near = d.clamp_min(cutoff)
    q = near ** (width - 2) * (1 - near.square() / 4) ** ((width - 3) / 2)
    wanted = torch.where(d < limit, 1 / q, 0)
    wanted = wanted / wanted.sum()
    torch.testing.assert_close(found.sum(), torch.tensor(1.0, dtype=torch.float64))
    assert ((found - wanted).abs() < 5 * (wanted * (1 - wanted) / lots).sqrt() + 1e-9).all()


@pytest.mark.parametrize("call", [
    lambda: SemiHard(LABEL, margin=0.0),
    lambda: SemiHard(LABEL, k=0),
    lambda: DistanceWeighted(LABEL, cutoff=1.5),
    lambda: DistanceWeighted(LABEL, k=0),
    lambda: PairMargin(near=2.0),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("sphere", [True, False])
def test_contrastive_with_a_margin_is_its_equation(power, sphere):
    from kontrast.losses.kernels.distance import Distance

    rows = rows_of()
    loss = PairMargin(margin=1.3, near=0.2, power=power, sphere=sphere)
    k = Cosine(temperature=1.0).double() if sphere else Distance()
    mean = contrast(rows, rows, LABEL, loss=loss, kernel=k)
    z = rows.z / rows.z.norm(dim=1, keepdim=True) if sphere else rows.z
    total, count = z.sum() * 0, 0
    for i in range(len(rows)):
        P, N = split(rows, i)
        if P:
            pull = sum(((z[i] - z[j]).norm() - 0.2).clamp_min(0) ** power for j in P) / len(P)
            push = sum((1.3 - (z[i] - z[j]).norm()).clamp_min(0) ** power for j in N) / len(N)
            total, count = total + pull + push, count + 1
    assert mean.count == count
    torch.testing.assert_close(mean.total, total, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(*(torch.autograd.grad(x, rows.z)[0] for x in (mean.total, total)), rtol=1e-6, atol=1e-8)
