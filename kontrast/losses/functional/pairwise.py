"""Losses on plain tensors that are no softmax over the batch, one function each; see `functional`, which has them all.

Embeddings are normalised here unless said otherwise, logits are float32 or better. Where rows are taken as they are and
thousands long, the slope may be inf in float16, with the value finite. Shapes: N rows, D width, C classes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.core.ranks import Ranks
from kontrast.layers.proxies import as_rows
from kontrast.losses.alignment.alignment import Alignment
from kontrast.losses.alignment.barlow_twins import BarlowTwins
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.losses.alignment.vicreg import VICReg
from kontrast.losses.alignment.wmse import WMSE
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering.dino import DINO
from kontrast.losses.clustering.swav import SwAV
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.contrastive.jsd import JSD
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive.spectral import Spectral
from kontrast.losses.contrastive.uniformity import Uniformity
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import adapters, dense, input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import reduced
from kontrast.losses.functional.by_query import MINING, mined_triplet
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.angle import AnglE
from kontrast.losses.pairwise.arcface import ArcFace
from kontrast.losses.pairwise.circle import Circle
from kontrast.losses.pairwise.cosent import CoSENT
from kontrast.losses.pairwise.cosface import CosFace
from kontrast.losses.pairwise.multi_similarity import MultiSimilarity
from kontrast.losses.pairwise.proxy_anchor import ProxyAnchor
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.preference.bradley_terry import BradleyTerry
from kontrast.losses.preference.click import CLICK
from kontrast.losses.preference.cpl import CPL
from kontrast.losses.preference.dpo import DPO
from kontrast.losses.preference.simpo import SimPO
from kontrast.losses.preference_loss import Answers, PreferenceLoss
from kontrast.losses.relations.same_key import SameKey


def siglip(z1: Tensor, z2: Tensor, *, scale: Tensor | float = 10.0, bias: Tensor | float = -10.0) -> Tensor:
    """Row k of z1 belongs to row k of z2: see `SigLIP`. Make `scale` and `bias` parameters to learn them.

    The sum over pairs divided by the number of rows, as in the paper.

    >>> siglip(torch.eye(4), torch.eye(4))
    tensor(0.6933)
    """
    input_checks.aligned(z1=z1, z2=z2)
    scale, bias = input_checks.number(scale, "scale", above=0), input_checks.number(bias, "bias")
    if dense.small(len(z1), len(z2)):
        return dense.siglip(z1, z2, scale, bias)
    x, y = sphere(z1), sphere(z2)
    one = torch.ones_like(x[:, :1])  # the bias rides along as a column
    x, y = torch.cat([x * scale, one * bias], 1), torch.cat([y, one], 1)
    return _facing(x, y, SigLIP(bias=0.0, learnable=False))


def jsd(z1: Tensor, z2: Tensor) -> Tensor:
    """Row k of z1 belongs to row k of z2: see `JSD`. Inner products of the rows as they are.

    >>> jsd(torch.eye(2), torch.eye(2))
    tensor(-0.3799)
    """
    return _facing(z1, z2, JSD())


def spectral(z1: Tensor, z2: Tensor) -> Tensor:
    """Row k of z1 belongs to row k of z2: see `Spectral`. Inner products of the rows as they are.

    >>> spectral(torch.eye(2), torch.eye(2))
    tensor(-2.)
    """
    return _facing(z1, z2, Spectral())


def triplet(
    z: Tensor,
    labels: Any,
    *,
    margin: float = 0.2,
    triplets: Literal["all", "semihard", "hard", "easy", "distance"] = "all",
    soft: bool = False,
    seed: int = 0,
) -> Tensor:
    """Rows of one label attract: see `Triplet`. Squared distances on the sphere; the mean over triplets.
    "easy": each anchor's nearest positive (`EasyPositive`); "distance": drawn negatives (`DistanceWeighted`, `seed`).

    >>> triplet(torch.eye(4), torch.tensor([0, 0, 1, 1]))
    tensor(0.2000)
    """
    seed, _ = input_checks.whole(seed, "seed"), input_checks.choice(triplets, "triplets", MINING)
    if triplets == "easy" or triplets == "distance":
        return mined_triplet(z, labels, Triplet(margin=margin, soft=soft), triplets, seed)
    return _labelled(z, labels, Triplet(margin=margin, triplets=triplets, soft=soft), scale=2.0)


def circle(z: Tensor, labels: Any, *, margin: float = 0.25, scale: float = 256.0) -> Tensor:
    """Rows of one label attract: see `Circle`.

    >>> circle(torch.eye(4), torch.tensor([0, 0, 1, 1]), scale=8)
    tensor(7.6936)
    """
    return _labelled(z, labels, Circle(margin=margin, scale=scale))


def multi_similarity(
    z: Tensor, labels: Any, *, pull: float = 2.0, push: float = 50.0, centre: float = 0.5, slack: float | None = 0.1
) -> Tensor:
    """Rows of one label attract: see `MultiSimilarity`.

    >>> multi_similarity(torch.eye(4), torch.tensor([0, 0, 1, 1]))
    tensor(0.6566)
    """
    return _labelled(z, labels, MultiSimilarity(pull=pull, push=push, centre=centre, slack=slack))


def arcface(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.5, scale: float = 64.0) -> Tensor:
    """Row k belongs to the class centre proxies[labels[k]] of (C, D): see `ArcFace`.

    >>> arcface(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
    tensor(39.0124)
    """
    return _centred(z, labels, proxies, ArcFace(margin=margin, scale=scale))


def cosface(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """Row k belongs to the class centre proxies[labels[k]] of (C, D): see `CosFace`.

    >>> cosface(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
    tensor(32.8000)
    """
    return _centred(z, labels, proxies, CosFace(margin=margin, scale=scale))


def proxy_anchor(z: Tensor, labels: Any, proxies: Tensor, *, margin: float = 0.1, scale: float = 32.0) -> Tensor:
    """Row k belongs to the class centre proxies[labels[k]] of (C, D): see `ProxyAnchor`.

    >>> proxy_anchor(torch.eye(4), torch.tensor([0, 0, 1, 1]), torch.eye(4)[:2])
    tensor(23.1333)
    """
    centres, rows = _classes(z, labels, proxies)
    everyone = Ranks().gather({"z": rows})["z"]
    pull, push = (
        contrast(
            centres, everyone, SameKey("label"), loss=ProxyAnchor(side=side, margin=margin, scale=scale), kernel=Dot()
        )
        for side in ("pull", "push")
    )
    return _share({"pull": pull, "push": push}, "no rows.")


def byol(p: Tensor, t: Tensor) -> Tensor:
    """mean 2 - 2 cos(p_k, t_k), no gradient to the targets t: see `NegativeCosine`; SimSiam's is half of it, less 1.

    >>> byol(torch.eye(2), torch.eye(2).flip(0))
    tensor(2.)
    """
    input_checks.aligned(p=p, t=t)
    mean = NegativeCosine()(adapters.rows(p), adapters.rows(t))
    return _share({"byol": LossTerm(2 * mean.count + 2 * mean.total, mean.count)}, "no rows.")


def align_uniform(z1: Tensor, z2: Tensor, *, power: float = 2.0, t: float = 2.0, weight: float = 1.0) -> Tensor:
    """Alignment of the pairs plus `weight` times the uniformity of both sides: see `Alignment` and `Uniformity`.

    >>> align_uniform(torch.eye(4), torch.eye(4))
    tensor(-4.)
    """
    input_checks.aligned(z1=z1, z2=z2)
    weight = float(input_checks.number(weight, "weight", least=0))
    rows = {"one": adapters.rows(z1), "two": adapters.rows(z2)}
    means = {
        "alignment": Alignment(power=power)(rows["one"], rows["two"]),
        "uniformity": weight * Uniformity(t=t)(*Ranks().gather(rows).values()),
    }
    return _share(means, "no rows.")


def barlow(z1: Tensor, z2: Tensor, *, off: float = 0.005) -> Tensor:
    """Two views' features, not normalised: see `BarlowTwins`.

    >>> barlow(torch.eye(4), torch.eye(4))
    tensor(0.0067)
    """
    return _whole(z1, z2, BarlowTwins(off=off))


def vicreg(
    z1: Tensor, z2: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """Two views' features, not normalised: see `VICReg`.

    >>> vicreg(torch.eye(4), torch.eye(4))
    tensor(12.5392)
    """
    return _whole(z1, z2, VICReg(invariance=invariance, variance=variance, covariance=covariance))


def wmse(z1: Tensor, z2: Tensor, *, size: int | None = None, shrink: float = 1e-3) -> Tensor:
    """Two views' features, not normalised; more rows than D: see `WMSE`.

    >>> wmse(torch.eye(6)[:, :2], torch.eye(6)[:, 1:3])
    tensor(1.4884)
    """
    return _whole(z1, z2, WMSE(size=size, shrink=shrink))


def cosent(z1: Tensor, z2: Tensor, scores: Any, *, scale: float = 20.0) -> Tensor:
    """Pair k, (z1[k], z2[k]), has the gold similarity scores[k], (N,): see `CoSENT`.

    >>> cosent(torch.eye(3), torch.eye(3)[[0, 1, 1]], torch.tensor([0.1, 0.9, 0.5]))
    tensor(20.)
    """
    return _whole(z1, z2, CoSENT(scale=scale), scores=scores)


def angle(z1: Tensor, z2: Tensor, scores: Any, *, scale: float = 20.0) -> Tensor:
    """Pair k, (z1[k], z2[k]), has the gold similarity scores[k], (N,): see `AnglE`.

    >>> angle(torch.eye(4), torch.eye(4)[[0, 1, 1, 1]], torch.tensor([0.1, 0.9, 0.5, 0.2]))
    tensor(20.6931)
    """
    return _whole(z1, z2, AnglE(scale=scale), scores=scores)


def swav(
    scores: Sequence[Tensor],
    *,
    assigned: int = 2,
    temperature: float | Tensor = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """(N, K) cosines to prototypes, one tensor a view: each predicts the codes of the first `assigned`. See `SwAV`.

    >>> swav([torch.eye(4), torch.eye(4)])
    tensor(0.0001)
    """
    loss = SwAV(temperature=input_checks.temperature(temperature), epsilon=epsilon, iterations=iterations)
    scores = input_checks.outputs(scores, "scores")
    return _predicted(loss, scores, scores[: input_checks.whole(assigned, "assigned", least=1, most=len(scores))])


def dino(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    centre: Tensor | float = 0.0,
    *,
    temperature: float | Tensor = 0.1,
    teacher_temperature: float | Tensor = 0.04,
) -> Tensor:
    """(N, K) outputs, one tensor a view; view k of both is the same view and does not predict itself. See `DINO`.

    `centre` (K,) is the running mean of the teacher's outputs: `kontrast.layers.centre.Centre` keeps it.

    >>> dino([torch.eye(4), torch.eye(4)], [torch.eye(4), torch.eye(4)])
    tensor(0.0001)
    """
    told = input_checks.temperature(teacher_temperature, "teacher_temperature")
    loss = DINO(temperature=input_checks.temperature(temperature), teacher_temperature=told)
    student, teacher = input_checks.outputs(student, "student"), input_checks.outputs(teacher, "teacher")
    input_checks.aligned(**{"student[0]": student[0], "teacher[0]": teacher[0]})
    centre = input_checks.offset(centre, teacher[0].shape[1], "centre")
    return _predicted(loss, student, [t - centre for t in teacher])


def bpr(chosen: Tensor, rejected: Tensor, *, margin: float = 0.0) -> Tensor:
    """(N,) scores: see `BradleyTerry`, of which Bayesian personalised ranking is another name.

    >>> bpr(torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0]))
    tensor(0.6437)
    """
    input_checks.answers({"chosen": chosen, "rejected": rejected})
    return _preferred(BradleyTerry(margin=margin), Answers(chosen), Answers(rejected))


def dpo(
    chosen: Tensor, rejected: Tensor, chosen_reference: Tensor, rejected_reference: Tensor, *, beta: float = 0.1
) -> Tensor:
    """(N,) summed log-probabilities, under the policy and under the reference: see `DPO`.

    >>> dpo(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([-5.0]), torch.tensor([-5.0]))
    tensor(0.4741)
    """
    references = {"chosen_reference": chosen_reference, "rejected_reference": rejected_reference}
    input_checks.answers({"chosen": chosen, "rejected": rejected, **references})
    return _preferred(DPO(beta=beta), Answers(chosen, chosen_reference), Answers(rejected, rejected_reference))


def simpo(
    chosen: Tensor,
    rejected: Tensor,
    chosen_length: Tensor,
    rejected_length: Tensor,
    *,
    beta: float = 2.0,
    margin: float = 1.0,
) -> Tensor:
    """(N,) summed log-probabilities and numbers of tokens: see `SimPO`.

    >>> simpo(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([8]), torch.tensor([6]))
    tensor(0.3133)
    """
    lengths = {"chosen_length": chosen_length, "rejected_length": rejected_length}
    input_checks.answers({"chosen": chosen, "rejected": rejected, **lengths})
    input_checks.tokens(**lengths)
    loss = SimPO(beta=beta, margin=margin)
    return _preferred(loss, Answers(chosen, length=chosen_length), Answers(rejected, length=rejected_length))


def cpl(chosen: Tensor, rejected: Tensor, *, alpha: float = 0.1, bias: float = 0.5, discount: float = 1.0) -> Tensor:
    """(N, T) log-probabilities of the actions of two segments, or (N,) their sums: see `CPL`.

    >>> cpl(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -4.0]]))
    tensor(0.6685)
    """
    input_checks.answers({"chosen": chosen, "rejected": rejected}, steps=True)
    return _preferred(CPL(alpha=alpha, bias=bias, discount=discount), Answers(chosen), Answers(rejected))


def click(wanted: Tensor, unwanted: Tensor, *, margin: float = 20.0) -> Tensor:
    """(N,) summed log-probabilities: see `CLICK`.

    >>> click(torch.tensor([-4.0]), torch.tensor([-9.0]))
    tensor(15.)
    """
    input_checks.answers({"wanted": wanted, "unwanted": unwanted})
    return _preferred(CLICK(margin=margin), Answers(wanted), Answers(unwanted))


def _share(means: dict[str, LossTerm], missing: str) -> Tensor:
    """This rank's loss, or what is missing in words."""
    try:
        return reduced(Ranks(), means)
    except ValueError as nothing:
        raise UserError(f"{' and '.join(means)}: nothing to compare in this batch, on any rank: {missing}") from nothing


def _facing(z1: Tensor, z2: Tensor, loss: ContrastiveLoss) -> Tensor:
    input_checks.aligned(z1=z1, z2=z2)
    everyone = Ranks().gather({"z": adapters.rows(z2, view=1)})["z"]
    mean = contrast(adapters.rows(z1), everyone, SameKey("id"), loss=loss, kernel=Dot())
    return _share({type(loss).__name__.lower(): mean}, "no rows.")


def _labelled(z: Tensor, labels: Any, loss: ContrastiveLoss, scale: float = 1.0) -> Tensor:
    rows = adapters.rows(
        sphere(input_checks.embeddings(z)) * scale**0.5, keys={"label": input_checks.labels(labels, z)}
    )
    mean = contrast(rows, Ranks().gather({"z": rows})["z"], SameKey("label"), loss=loss, kernel=Dot())
    needs = "it takes a label that two rows have, and a row of another label. Draw several samples of a class."
    return _share({type(loss).__name__.lower(): mean}, needs)


def _classes(z: Tensor, labels: Any, proxies: Tensor) -> tuple[Embeddings, Embeddings]:
    """Centres, and the rows whose class is known: one of an unknown class belongs to some centre too, and is pushed
    from none."""
    input_checks.centres(proxies, input_checks.embeddings(z), "proxies")
    rows = adapters.rows(sphere(z), keys={"label": input_checks.labels(labels, z, classes=len(proxies))})
    return as_rows(sphere(proxies).to(rows.z.dtype)), rows[rows.keys["label"] != input_checks.UNKNOWN]


def _centred(z: Tensor, labels: Any, proxies: Tensor, loss: ContrastiveLoss) -> Tensor:
    centres, rows = _classes(z, labels, proxies)
    mean = contrast(rows, centres, SameKey("label"), loss=loss, kernel=Dot())
    return _share({type(loss).__name__.lower(): mean}, "no rows.")


def _whole(z1: Tensor, z2: Tensor, loss: AlignmentLoss, **gold: Any) -> Tensor:
    input_checks.aligned(z1=z1, z2=z2)
    keys = {name.removesuffix("s"): input_checks.amounts(given, z1, name) for name, given in gold.items()}
    rows = {"one": adapters.rows(z1, keys), "two": adapters.rows(z2)}
    mean = loss(*Ranks().gather(rows).values())
    return _share({type(loss).__name__.lower(): mean}, "no two pairs have different scores.")


def _predicted(loss: ClusteringLoss, scores: Sequence[Tensor], told: Sequence[Tensor]) -> Tensor:
    ranks = Ranks()
    targets = [loss.targets(t, ranks) for t in told]
    means = [loss(s, q) for i, q in enumerate(targets) for j, s in enumerate(scores) if i != j]
    if not means:
        raise UserError(f"{type(loss).__name__.lower()}: one view alone; expected two or more, to predict each other.")
    total, count = (torch.stack(parts).sum(0) for parts in zip(*((m.total, m.count) for m in means), strict=True))
    return _share({type(loss).__name__.lower(): LossTerm(total, count)}, "no rows.")


def _preferred(loss: PreferenceLoss, chosen: Answers, rejected: Answers) -> Tensor:
    return _share({type(loss).__name__.lower(): loss(chosen, rejected)}, "no pairs.")
