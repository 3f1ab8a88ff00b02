"""Losses on plain tensors whose positives follow from labels or targets, one function each; see `functional`.

Labels (N,) are a tensor, an array or a list of whole numbers, bools or names. -1, None and NaN are unknown: such a row
is nobody's positive and no anchor, and counts among the candidates.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere, wide
from kontrast.losses.contrastive.herocon import HeroCon
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.rank_n_contrast import RankNContrast
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.adapters import Tempered, fixed, gathered, rows, settle
from kontrast.losses.engine.class_counts import counts
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.positives import chosen, pull
from kontrast.losses.engine.temperature import by_class
from kontrast.losses.kernel import Kernel
from kontrast.losses.kernels.distance import Distance
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import CandidatesOnly, Relation
from kontrast.losses.relations.balanced import Balanced
from kontrast.losses.relations.different_group import DifferentGroup
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.label_column import LabelColumn
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.relations.within_group import WithinGroup

# One entry per row: a tensor, an array or a list; `door` says what of each it takes.
Labels = Any


def supcon(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Supervised contrast, sum outside the logarithm (arXiv:2004.11362, L_out): z (N, D), labels (N,).

    L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, p the other rows of i's class. Two views of a batch:
    `supcon(torch.cat([z1, z2]), labels.repeat(2))`. Rows alone in their class are left out of the mean; the factor
    temperature / 0.07 of the authors' code is not applied. `temperature` may be a tensor: of one number, or (C,), one
    per class, for its rows as anchors; it gets its gradient.

    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(supcon(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)  # log(e + 1) - 1
    0.3133
    """
    scalar = not isinstance(temperature, Tensor) or temperature.numel() == 1
    if scalar and dense.small(len(input_checks.embeddings(z)), len(z), dense.FEW):
        value = dense.supcon(z, input_checks.labels(labels, z), input_checks.temperature(temperature))
        if value is not None:
            return value
    ours, everyone, kernel = _labelled(z, labels, temperature)
    return settle(loss=contrast(ours, everyone, SameKey("label"), loss=InfoNCE(), kernel=kernel))


def supcon_inside(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1, mean: bool = True) -> Tensor:
    """Supervised contrast, sum inside the logarithm (arXiv:2004.11362, L_in); `mean` False as solo-learn has it.

    L_i = log sum_{k != i} e^(S_ik) - log mean_p e^(S_ip), or the sum over p instead of the mean. `temperature` as in
    `supcon`.

    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(supcon_inside(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)  # one positive: the same as supcon
    0.3133
    """
    loss = SupConInside(mean=input_checks.flag(mean, "mean"))
    ours, everyone, kernel = _labelled(z, labels, temperature)
    return settle(loss=contrast(ours, everyone, SameKey("label"), loss=loss, kernel=kernel))


def _labelled(z: Tensor, labels: Labels, temperature: float | Tensor) -> tuple[Embeddings, Embeddings, Kernel]:
    """Anchors, candidates and kernel; with one number for all, both are the same rows."""
    input_checks.embeddings(z)
    if not isinstance(temperature, Tensor) or temperature.numel() == 1:
        ours = rows(z, {"label": input_checks.labels(labels, z)})
        return ours, gathered(ours), Tempered(temperature)
    y = input_checks.labels(labels, z, classes=len(temperature))
    ours = rows(sphere(z), {"label": y})
    return replace(ours, z=by_class(ours.z, y, temperature)), gathered(ours), Dot()


def gensupcon(
    z: Tensor, soft: Labels, *, temperature: float | Tensor = 0.1, teacher: Labels | None = None, alpha: float = 1.0
) -> Tensor:
    """GenSCL (arXiv:2206.00384): soft labels (N, C) attract by their cosine; MixUp and CutMix targets are such labels.

    L_i = log sum_{k != i} e^(S_ik) - sum_j G_ij S_ij / sum_j G_ij, G_ij = cos(soft_i, soft_j), j != i; the authors'
    code multiplies by temperature / 0.07. `teacher` (N, C): class probabilities of a teacher for distillation, the loss
    of labels plus alpha times the loss of the teacher. As each is a mean by its own attraction, both are one relation,
    the sum of the two shared-out attractions.

    >>> z, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    >>> torch.allclose(gensupcon(z, torch.eye(3)[labels]), supcon(z, labels))
    True
    """
    input_checks.embeddings(z)
    alpha = float(input_checks.number(alpha, "alpha", above=0))
    keys = {"soft": input_checks.table(soft, z, "soft")}
    ours = rows(z, keys if teacher is None else {**keys, "teacher": input_checks.table(teacher, z, "teacher")})
    everyone, relation = gathered(ours), Soft("soft")
    if teacher is not None:
        parts = [(Soft(name), _share(ours, everyone, Soft(name))) for name in ("soft", "teacher")]
        ours = Embeddings(ours.z, {**ours.keys, "1/soft": parts[0][1], "1/teacher": parts[1][1]})
        relation = Soft("soft") & KeyWeight("1/soft", of="anchor")
        relation = relation + alpha * (Soft("teacher") & KeyWeight("1/teacher", of="anchor"))
    mean = contrast(ours, everyone, relation, loss=InfoNCE(), kernel=Tempered(temperature))
    return settle(loss=mean if teacher is None else (1 + alpha) * mean)


def soft_nearest_neighbour(z: Tensor, labels: Labels, *, temperature: float | Tensor = 1.0) -> Tensor:
    """Soft nearest neighbour (arXiv:1902.01889): -log of the chance e^(-d^2 / temperature) to pick one's own class.

    L_i = log sum_{k != i} e^(-|z_i - z_k|^2 / temperature) - the same sum over the rows of i's class, of rows as they
    are.

    >>> z = torch.tensor([[0.0], [0.0], [1.0]])
    >>> round(soft_nearest_neighbour(z, torch.tensor([0, 0, 1])).item(), 4)  # log(1 + e^-1)
    0.3133
    """
    ours = rows(z, {"label": input_checks.labels(labels, input_checks.embeddings(z))})
    kernel = Distance(temperature=input_checks.temperature(temperature))
    return settle(loss=contrast(ours, gathered(ours), SameKey("label"), loss=SupConInside(), kernel=kernel))


def multi_positive(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Each positive pair alone against the negatives, the mean over pairs: pytorch-metric-learning's NT-Xent.

    L_ip = log(e^(S_ip) + sum_n e^(S_in)) - S_ip, n of other classes.

    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(multi_positive(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)
    0.3133
    """
    ours = rows(z, {"label": input_checks.labels(labels, input_checks.embeddings(z))})
    kernel = Tempered(temperature)
    return settle(loss=contrast(ours, gathered(ours), SameKey("label"), loss=HeroCon(), kernel=kernel))


def kcl(
    z: Tensor, labels: Labels, ids: Labels, *, k: int = 6, temperature: float | Tensor = 0.1, seed: int = 0
) -> Tensor:
    """K-positive contrast (Kang et al., ICLR 2021): SupCon with the sample's other views and k others of its class.

    L_i = log sum_{j != i} e^(S_ij) - mean of S_ip over p in {other views} + {k drawn by lot}; k is 6 in the paper. A
    class with fewer others gives all it has. ids (N,) name the sample of each row. Frequent classes so pull no harder
    than rare ones. `seed` (the step's number) draws other positives.

    >>> z, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    >>> torch.allclose(kcl(z, labels, torch.arange(6), k=6), supcon(z, labels))
    True
    """
    input_checks.embeddings(z)
    ours = rows(z, {"label": input_checks.labels(labels, z), "id": input_checks.slots(ids, z, "ids")})
    everyone = gathered(ours)
    ours, relation = _few(ours, everyone, k, seed)
    return settle(loss=contrast(ours, everyone, relation, loss=InfoNCE(), kernel=Tempered(temperature)))


def tsc(
    z: Tensor,
    labels: Labels,
    ids: Labels,
    points: Tensor,
    *,
    k: int = 6,
    strength: float = 1.0,
    temperature: float | Tensor = 0.1,
    seed: int = 0,
) -> Tensor:
    """Targeted supervised contrast (arXiv:2111.13998): KCL, and each row towards its class's target, points (C, D).

    L_i = D_i - mean_p S_ip + strength (D_i - S_it), p KCL's positives, t the class's target and D_i the log of the sum
    of e^S over all other rows and all targets. points[c] is the target of class c: `layers.targets` makes and assigns
    them. The authors' code takes the target for one more of the p; with two views that is strength = 1 / (k + 1), and
    the whole divided by 1 + strength.

    >>> z, labels = torch.eye(3)[[0, 0, 1, 1, 2, 2]], torch.tensor([0, 0, 1, 1, 2, 2])
    >>> round(tsc(z, labels, torch.arange(6), torch.eye(3), temperature=1.0).item(), 4)  # 2 (log(2e + 6) - 1)
    2.8736
    """
    input_checks.centres(points, input_checks.embeddings(z), "points")
    strength = float(input_checks.number(strength, "strength", above=0))
    ours = rows(
        z, {"label": input_checks.labels(labels, z, classes=len(points)), "id": input_checks.slots(ids, z, "ids")}
    )
    everyone = gathered(ours)
    ours, relation = _few(ours, everyone, k, seed)
    of_class = torch.arange(len(points), device=z.device)
    targets = fixed(points.to(z.dtype), {"label": of_class, "target": torch.ones_like(of_class)})
    samples = Embeddings(everyone.z, {**everyone.keys, "target": torch.zeros_like(everyone.keys["id"])})
    candidates = Embeddings.stack(samples, targets)
    ours = Embeddings(ours.z, {**ours.keys, "share": _share(ours, candidates, relation)})
    whole = relation & KeyWeight("share", of="anchor")
    whole = whole + strength * (SameKey("label") & KeyWeight("target"))
    mean = contrast(ours, candidates, whole, loss=InfoNCE(), kernel=Tempered(temperature))
    return settle(loss=(1 + strength) * mean)


def bcl(z: Tensor, labels: Labels, centres: Tensor | None = None, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Balanced contrast (arXiv:2207.09052): SupCon whose candidates count 1 / (rows of their class).

    L_i = log sum_c mean_{k of c, k != i} e^(S_ik) - mean_p S_ip. centres (C, D): learned class centres, each one more
    row of its class, so that no class is ever absent.

    >>> z, labels = torch.eye(2)[[0, 0, 1, 1, 1]], torch.tensor([0, 0, 1, 1, 1])
    >>> round(bcl(z, labels, temperature=1.0).item(), 4)  # log(e + 1) - 1, however many rows a class has
    0.3133
    """
    input_checks.embeddings(z)
    classes = None if centres is None else len(input_checks.centres(centres, z, "centres"))
    ours = rows(z, {"label": input_checks.labels(labels, z, classes=classes)})
    candidates = gathered(ours)
    if centres is not None:
        own = fixed(centres.to(z.dtype), {"label": torch.arange(len(centres), device=z.device)})
        candidates = Embeddings.stack(candidates, own)
    candidates = Embeddings(candidates.z, {**candidates.keys, "count": counts(candidates.keys["label"])})
    kernel = Tempered(temperature)
    relation = SameKey("label") & Balanced("label", "count")
    return settle(loss=contrast(ours, candidates, relation, loss=InfoNCE(), kernel=kernel))


def paco(
    z: Tensor,
    labels: Labels,
    centres: Tensor,
    *,
    alpha: float = 0.05,
    temperature: float | Tensor = 0.2,
    centre_temperature: float | Tensor = 1.0,
    prior: Labels | None = None,
    features: Tensor | None = None,
) -> Tensor:
    """Parametric contrast (arXiv:2107.12028): learned centres (C, D) are candidates too; samples attract alpha times.

    L_i = log(sum_{k != i} e^(S_ik) + sum_c prior_c e^(T_ic)) - (alpha sum_p S_ip + T_iy) / (alpha P + 1), p the P other
    rows of i's class y, T the dot of the unit vector z_i with a centre; or of features (N, F), which the authors' code
    takes from before the head, with centres (C, F). prior (C,): class frequencies, for logit adjustment; the
    numerator's log prior, a constant, is left out of the value. alpha = 0 would be a plain classifier.

    >>> z, labels = torch.eye(2), torch.tensor([0, 1])  # no two of a class: the classifier with z as further candidates
    >>> round(paco(z, labels, torch.eye(2), temperature=1.0).item(), 4)  # log(e + 1 + 1) - 1
    0.5514
    """
    input_checks.embeddings(z)
    if features is not None:
        input_checks.embeddings(features, "features")
    input_checks.centres(centres, z if features is None else features, "centres")
    alpha, temperature = float(input_checks.number(alpha, "alpha", least=0)), input_checks.temperature(temperature)
    centre_temperature = input_checks.temperature(centre_temperature, "centre_temperature")
    unit = sphere(z)
    ours = rows(unit, {"label": input_checks.labels(labels, z, classes=len(centres))})
    others = gathered(Embeddings(unit / temperature, ours.keys))
    centres = wide(centres) / centre_temperature
    if features is not None:
        rows(z, {"features": features})  # refuses another number of rows
        # Side by side: in one inner product z meets rows, the features meet centres.
        ours = Embeddings(torch.cat([unit, wide(features).to(unit.dtype)], 1), ours.keys)
        others = Embeddings(pad(others.z, (0, features.shape[1])), others.keys)
        centres = pad(centres, (unit.shape[1], 0))
    ones, of_class = torch.ones_like(others.z[:, 0]), torch.arange(len(centres), device=z.device)
    others = Embeddings(others.z, {**others.keys, "pull": alpha * ones, "count": ones})
    full = unit.new_ones(len(centres))
    own = fixed(
        centres.to(unit.dtype),
        {"label": of_class, "pull": full, "count": full if prior is None else _prior(prior, centres).to(unit.dtype)},
    )
    relation = SameKey("label") & KeyWeight("pull")
    relation = relation if prior is None else relation & KeyWeight("count", what="among")
    return settle(loss=contrast(ours, Embeddings.stack(others, own), relation, loss=InfoNCE(), kernel=Dot()))


def fscl(z: Tensor, labels: Labels, groups: Labels, *, temperature: float | Tensor = 0.1, even: bool = False) -> Tensor:
    """Fair supervised contrast (arXiv:2203.16209): positives of any group, negatives of the anchor's own group alone.

    L_i = log sum_n e^(S_in) - sum_p w_p S_ip / sum_p w_p, p of the class, n of another class and the same group, so
    that the sensitive group tells nobody apart and is not learned. Positives are not among the candidates; rows whose
    group holds no other class are left out (the authors' code gives them a denominator of 1).

    `even` is the group-wise normalisation of FSCL+, with the weights of the authors' code: of the m rows of a (class,
    group) each weighs w = 1 / (m - 1) as a positive (alone, 1) and counts sum_p w_p / m as an anchor. The mean is over
    these counts; the authors' is a sum over 8. Without `even` all weigh 1.

    >>> z, labels, groups = torch.eye(2)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> round(fscl(z, labels, groups, temperature=1.0).item(), 4)  # log(1) - 1
    -1.0
    """
    input_checks.embeddings(z)
    ours = rows(z, {"label": input_checks.labels(labels, z), "group": input_checks.labels(groups, z, "groups")})
    everyone = gathered(ours)
    relation, weight = SameKey("label", apart=True) & CandidatesOnly(WithinGroup("group")), None
    if input_checks.flag(even, "even"):
        peers = pull(ours, everyone, SameKey("label") & WithinGroup("group"))
        share = 1 / gathered(Embeddings(peers[:, None], ours.keys)).z[:, 0].clamp_min(1)
        everyone = Embeddings(everyone.z, {**everyone.keys, "share": share})
        relation = relation & KeyWeight("share")
        weight = pull(ours, everyone, relation) / (1 + peers)
    kernel = Tempered(temperature)
    return settle(loss=contrast(ours, everyone, relation, loss=InfoNCE(), kernel=kernel, weight=weight))


def herocon(z: Tensor, labels: Labels, *, temperature: float | Tensor = 1.0) -> Tensor:
    """HeroCon's supervised term (Zheng et al., KDD 2022) for several labels a row, labels (N, C) of 0 and 1.

    For each label the mean over pairs i, j that have it of log(1 + sum_k h_ik e^(S_ik) / ((1 - h_ij / C) e^(S_ij))), k
    the rows that lack it, h the Hamming distance of the label sets; summed over labels. The paper counts a row as its
    own positive too and takes off log(1 + negatives); here a row never meets itself.

    >>> z, labels = torch.eye(2)[[0, 0, 1]], torch.tensor([[1, 0], [1, 0], [0, 1]])
    >>> round(herocon(z, labels).item(), 4)  # log(1 + 2 e^0 / e^1)
    0.5514
    """
    sets = input_checks.table(labels, input_checks.embeddings(z), "labels", binary=True)
    ours = rows(z, {"labels": sets})
    everyone = gathered(ours)
    kernel = Tempered(temperature)
    terms = {
        f"label {n}": contrast(ours, everyone, LabelColumn("labels", n), loss=HeroCon(), kernel=kernel)
        for n in range(sets.shape[1])
    }
    return settle(**terms)


def rnc(z: Tensor, targets: Labels, *, temperature: float | Tensor = 2.0) -> Tensor:
    """Rank-N-Contrast (arXiv:2210.01189) for a continuous target (N,): similarity is -|z_i - z_j| / temperature.

    L_i = mean_{j != i} log sum_k e^(S_ik) - S_ij, k at least as far from the anchor's target as j: every other row is a
    positive once. Distances of embeddings and targets are float64. A row whose target is NaN or None is left out.

    >>> round(rnc(torch.tensor([[0.0], [1.0]]), torch.tensor([20.0, 30.0])).item(), 4)  # no other candidate
    0.0
    """
    target = input_checks.amounts(targets, input_checks.embeddings(z), "targets", unknown=True)
    kernel = Distance(temperature=input_checks.temperature(temperature) ** 2)
    ours = rows(z, {"target": target})
    if bool((unknown := target.isnan()).any()):
        ours = ours[~unknown]
    relation = TargetSimilarity("target", shape="order")
    return settle(loss=contrast(ours, gathered(ours), relation, loss=RankNContrast(root=True), kernel=kernel))


def _share(ours: Embeddings, everyone: Embeddings, relation: Relation) -> Tensor:
    """1 / the sum of what attracts each anchor; 0 where nothing does."""
    whole = pull(ours, everyone, relation)
    return torch.where(whole > 0, 1 / whole.clamp_min(torch.finfo(whole.dtype).tiny), 0)


def _prior(given: Labels, centres: Tensor) -> Tensor:
    """(C,): class frequencies, none negative and not all 0."""
    prior = input_checks.amounts(given, centres, "prior")
    if not bool((prior >= 0).all() & (prior > 0).any()):
        raise UserError(f"prior holds {prior.min().item():g}; expected class frequencies of at least 0, some above.")
    return prior


def _few(ours: Embeddings, everyone: Embeddings, k: int, seed: int) -> tuple[Embeddings, Relation]:
    """The other views of a sample and k others of its class attract."""
    k, seed = input_checks.whole(k, "k", least=0), input_checks.whole(seed, "seed")
    kept = chosen(ours, everyone, SameKey("label") & DifferentGroup("id"), k=k, seed=seed)
    relation = SameKey("id") | (SameKey("label") & Neighbours("kept", of="row"))
    return Embeddings(ours.z, {**ours.keys, "kept": kept}), relation
