"""Losses on plain tensors whose positives follow from labels or targets.

Labels (N,) are a tensor, an array or a list of whole numbers, bools or names. -1, None and NaN are unknown: such a row
is no positive and no anchor, and remains a candidate.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.core.normalize import sphere
from kontrast.losses.contrastive.herocon import HeroCon
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.rank_n_contrast import RankNContrast
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine import dense, input_checks
from kontrast.losses.engine.adapters import Tempered, gathered, reduce_terms, rows
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.positives import pull
from kontrast.losses.engine.temperature import by_class
from kontrast.losses.kernel import Kernel
from kontrast.losses.kernels.distance import Distance
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import CandidatesOnly, Relation
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.label_column import LabelColumn
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.relations.within_group import WithinGroup

# One entry per row: a tensor, an array or a list; `engine.input_checks` says which values.
Labels = Any


def supcon(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Supervised contrast, with the sum over positives outside the logarithm.

    The default with labels. Two views of a batch: `supcon(torch.cat([z1, z2]), labels.repeat(2))`. For rare classes
    take `bcl` or `kcl`. Rows alone in their class are left out of the mean; the factor temperature / 0.07 of the
    authors' code is not applied.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        temperature: Above 0; 0.1 as in the paper. A tensor gets its gradient: of one number, or (C,), one per class,
            for its rows as anchors.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - mean_p S_ip, S the cosine over the temperature, p the other rows of i's class.

    Reference:
        Khosla et al. 2020, arXiv:2004.11362, L_out.

    Example:
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
    return reduce_terms(loss=contrast(ours, everyone, SameKey("label"), loss=InfoNCE(), kernel=kernel))


def supcon_inside(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1, mean: bool = True) -> Tensor:
    """Supervised contrast, with the sum over positives inside the logarithm.

    One close positive is enough. Take it for classes of several kinds; otherwise `supcon`, which the paper recommends.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        temperature: Above 0; 0.1 as in the paper. A tensor gets its gradient: of one number, or (C,), one per class.
        mean: Mean over positives (default, the paper) or, if False, their sum, as in solo-learn.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - log mean_p e^(S_ip)

    Reference:
        Khosla et al. 2020, arXiv:2004.11362, L_in.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(supcon_inside(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)  # as supcon
        0.3133
    """
    loss = SupConInside(mean=input_checks.flag(mean, "mean"))
    ours, everyone, kernel = _labelled(z, labels, temperature)
    return reduce_terms(loss=contrast(ours, everyone, SameKey("label"), loss=loss, kernel=kernel))


def _labelled(z: Tensor, labels: Labels, temperature: float | Tensor) -> tuple[Embeddings, Embeddings, Kernel]:
    """Anchors, candidates and kernel; with one temperature for all, anchors are the candidates."""
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
    """Generalised supervised contrast: soft labels weigh positives by their cosine.

    Take it for MixUp and CutMix targets, or to distil a teacher. With one-hot labels it is `supcon`. The authors' code
    multiplies by temperature / 0.07.

    Args:
        z: (N, D) embeddings, normalised here.
        soft: (N, C) label shares, at least 0.
        temperature: Above 0; 0.1 as in the authors' code. A tensor of one number gets its gradient.
        teacher: (N, C) class probabilities of a teacher, for distillation: the loss of labels plus `alpha` times the
            loss of the teacher. None (default) for labels only.
        alpha: Weight of the teacher, above 0; 1 as in the authors' code.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i} e^(S_ik) - sum_j G_ij S_ij / sum_j G_ij, G_ij = cos(soft_i, soft_j), j != i.

    Reference:
        GenSCL: Kim et al. 2022, arXiv:2206.00384.

    Example:
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
        parts = [(Soft(name), share_of(ours, everyone, Soft(name))) for name in ("soft", "teacher")]
        ours = Embeddings(ours.z, {**ours.keys, "1/soft": parts[0][1], "1/teacher": parts[1][1]})
        relation = Soft("soft") & KeyWeight("1/soft", of="anchor")
        relation = relation + alpha * (Soft("teacher") & KeyWeight("1/teacher", of="anchor"))
    mean = contrast(ours, everyone, relation, loss=InfoNCE(), kernel=Tempered(temperature))
    return reduce_terms(loss=mean if teacher is None else (1 + alpha) * mean)


def soft_nearest_neighbour(z: Tensor, labels: Labels, *, temperature: float | Tensor = 1.0) -> Tensor:
    """Soft nearest neighbour: log-probability of picking a row of the own class.

    Take it to measure or shape how entangled classes are, on embeddings as they are. For a classifier's features
    `supcon` is the stronger loss.

    Args:
        z: (N, D) embeddings, not normalised.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        temperature: Above 0; 1 by default. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{k != i} e^(-|z_i - z_k|^2 / temperature) - log sum_p e^(-|z_i - z_p|^2 / temperature), p the
        other rows of i's class.

    Reference:
        Frosst et al. 2019, arXiv:1902.01889.

    Example:
        >>> z = torch.tensor([[0.0], [0.0], [1.0]])
        >>> round(soft_nearest_neighbour(z, torch.tensor([0, 0, 1])).item(), 4)  # log(1 + e^-1)
        0.3133
    """
    ours = rows(z, {"label": input_checks.labels(labels, input_checks.embeddings(z))})
    kernel = Distance(temperature=input_checks.temperature(temperature))
    return reduce_terms(loss=contrast(ours, gathered(ours), SameKey("label"), loss=SupConInside(), kernel=kernel))


def multi_positive(z: Tensor, labels: Labels, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Each positive pair alone against the negatives, averaged over pairs.

    The NT-Xent loss of pytorch-metric-learning (whose default temperature is 0.07). Positives do not compete with one
    another, as they do in `supcon`.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        temperature: Above 0; 0.1 by default. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over positive pairs.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_ip = log(e^(S_ip) + sum_n e^(S_in)) - S_ip, n the rows of other classes.

    Reference:
        Sohn 2016, NIPS; Chen et al. 2020, arXiv:2002.05709.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(multi_positive(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 4)
        0.3133
    """
    ours = rows(z, {"label": input_checks.labels(labels, input_checks.embeddings(z))})
    kernel = Tempered(temperature)
    return reduce_terms(loss=contrast(ours, gathered(ours), SameKey("label"), loss=HeroCon(), kernel=kernel))


def fscl(z: Tensor, labels: Labels, groups: Labels, *, temperature: float | Tensor = 0.1, even: bool = False) -> Tensor:
    """Fair supervised contrast: negatives come from the anchor's sensitive group only.

    Take it if embeddings must not reveal a group (sex, site): the group separates no negatives, so it is not learned.
    Positives are not among the candidates. Rows whose group holds no other class are left out (the authors' code gives
    them a denominator of 1).

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        groups: (N,) sensitive group of each row, as labels.
        temperature: Above 0; 0.1 as in the paper. A tensor of one number gets its gradient.
        even: Group-wise normalisation of FSCL+, with the weights of the authors' code: of the m rows of a (class,
            group) each weighs w = 1 / (m - 1) as a positive (alone, 1) and counts sum_p w_p / m as an anchor. The mean
            is over these counts; the authors' is a sum over 8. False (default): all weigh 1.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_n e^(S_in) - sum_p w_p S_ip / sum_p w_p, p of the class, n of another class and the same group.

    Reference:
        Park et al. 2022, arXiv:2203.16209.

    Example:
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
    return reduce_terms(loss=contrast(ours, everyone, relation, loss=InfoNCE(), kernel=kernel, weight=weight))


def herocon(z: Tensor, labels: Labels, *, temperature: float | Tensor = 1.0) -> Tensor:
    """HeroCon's supervised term for several labels per row.

    Take it for multi-label rows. The paper counts a row as its own positive too and subtracts log(1 + negatives); here
    a row never meets itself.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N, C) of 0 and 1.
        temperature: Above 0; 1 as in the paper, which has none. A tensor of one number gets its gradient.

    Returns:
        A scalar, the sum over labels of means over pairs.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        For each label, the mean over pairs i, j that have it of log(1 + sum_k h_ik e^(S_ik) / ((1 - h_ij / C)
        e^(S_ij))), k the rows that lack it, h the Hamming distance of label sets; summed over labels.

    Reference:
        Zheng et al. 2022, "Contrastive learning with complex heterogeneity", KDD.

    Example:
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
    return reduce_terms(**terms)


def rnc(z: Tensor, targets: Labels, *, temperature: float | Tensor = 2.0) -> Tensor:
    """Rank-N-Contrast for a continuous target.

    Take it for regression (an age, a dose); for classes take `supcon`. Every other row is a positive once. Distances of
    embeddings and targets are float64.

    Args:
        z: (N, D) embeddings, not normalised.
        targets: (N,) numbers; rows with NaN or None are left out.
        temperature: Above 0; 2 as in the paper. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = mean_{j != i} log sum_k e^(S_ik) - S_ij, S_ij = -|z_i - z_j| / temperature, k at least as far from the
        anchor's target as j.

    Reference:
        Zha et al. 2023, arXiv:2210.01189.

    Example:
        >>> round(rnc(torch.tensor([[0.0], [1.0]]), torch.tensor([20.0, 30.0])).item(), 4)  # no other candidate
        0.0
    """
    target = input_checks.amounts(targets, input_checks.embeddings(z), "targets", unknown=True)
    kernel = Distance(temperature=input_checks.temperature(temperature) ** 2)
    ours = rows(z, {"target": target})
    if bool((unknown := target.isnan()).any()):
        ours = ours[~unknown]
    relation = TargetSimilarity("target", shape="order")
    return reduce_terms(loss=contrast(ours, gathered(ours), relation, loss=RankNContrast(root=True), kernel=kernel))


def share_of(ours: Embeddings, everyone: Embeddings, relation: Relation) -> Tensor:
    """1 / (sum of each anchor's positive weights); 0 without positives."""
    whole = pull(ours, everyone, relation)
    return torch.where(whole > 0, 1 / whole.clamp_min(torch.finfo(whole.dtype).tiny), 0)
