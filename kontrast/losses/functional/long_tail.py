"""Losses on plain tensors for long-tailed labels: frequent and rare classes count alike."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere, wide
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.adapters import Tempered, fixed, gathered, reduce_terms, rows
from kontrast.losses.engine.class_counts import counts
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.positives import chosen
from kontrast.losses.functional.by_label import Labels, share_of
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import Relation
from kontrast.losses.relations.balanced import Balanced
from kontrast.losses.relations.different_group import DifferentGroup
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.same_key import SameKey


def kcl(
    z: Tensor, labels: Labels, ids: Labels, *, k: int = 6, temperature: float | Tensor = 0.1, seed: int = 0
) -> Tensor:
    """K-positive contrast: other views of the sample and k rows of its class.

    Take it for long-tailed labels: frequent classes pull no harder than rare ones. With even classes take `supcon`.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        ids: (N,) numbers or names of the samples; views of one sample share it.
        k: Positives of the class per anchor, drawn at random; 6 as in the paper. A smaller class gives all it has.
        temperature: Above 0; 0.1 by default. A tensor of one number gets its gradient.
        seed: Of the draw; pass the number of the step.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_{j != i} e^(S_ij) - mean_p S_ip, p the other views and the k drawn rows.

    Reference:
        Kang et al. 2021, "Exploring balanced feature spaces for representation learning", ICLR.

    Example:
        >>> from kontrast.losses.functional import supcon
        >>> z, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
        >>> torch.allclose(kcl(z, labels, torch.arange(6), k=6), supcon(z, labels))
        True
    """
    input_checks.embeddings(z)
    ours = rows(z, {"label": input_checks.labels(labels, z), "id": input_checks.slots(ids, z, "ids")})
    everyone = gathered(ours)
    ours, relation = _few(ours, everyone, k, seed)
    return reduce_terms(loss=contrast(ours, everyone, relation, loss=InfoNCE(), kernel=Tempered(temperature)))


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
    """Targeted supervised contrast: KCL, and each row towards its class's target.

    Take it for long-tailed labels with a known number of classes. `layers.targets` makes and assigns evenly spread
    targets. The authors' code treats the target as one more positive: with two views that is strength = 1 / (k + 1),
    and the whole divided by 1 + strength.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) class numbers from 0 to C - 1; -1, None and NaN are unknown.
        ids: (N,) numbers or names of the samples.
        points: (C, D), points[c] the target of class c.
        k: Positives of the class per anchor; 6 as in the paper.
        strength: Weight of the target term, above 0; 1 by default.
        temperature: Above 0; 0.1 by default. A tensor of one number gets its gradient.
        seed: Of the draw; pass the number of the step.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = D_i - mean_p S_ip + strength (D_i - S_it), p KCL's positives, t the class's target, D_i the log of the sum
        of e^S over all other rows and all targets.

    Reference:
        Li et al. 2022, arXiv:2111.13998.

    Example:
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
    ours = Embeddings(ours.z, {**ours.keys, "share": share_of(ours, candidates, relation)})
    whole = relation & KeyWeight("share", of="anchor")
    whole = whole + strength * (SameKey("label") & KeyWeight("target"))
    mean = contrast(ours, candidates, whole, loss=InfoNCE(), kernel=Tempered(temperature))
    return reduce_terms(loss=(1 + strength) * mean)


def bcl(z: Tensor, labels: Labels, centres: Tensor | None = None, *, temperature: float | Tensor = 0.1) -> Tensor:
    """Balanced contrast: candidates count 1 / (rows of their class).

    Take it for long-tailed labels, if possible with learned centres, so that no class is absent from a batch.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown. With centres, class numbers
            from 0 to C - 1.
        centres: (C, D) learned class centres, each one more row of its class; None (default) for none.
        temperature: Above 0; 0.1 as in the paper. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_c mean_{k of c, k != i} e^(S_ik) - mean_p S_ip

    Reference:
        Zhu et al. 2022, arXiv:2207.09052.

    Example:
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
    return reduce_terms(loss=contrast(ours, candidates, relation, loss=InfoNCE(), kernel=kernel))


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
    """Parametric contrast: learned class centres are candidates too.

    Take it for long-tailed labels, with class frequencies as `prior`. alpha = 0 is a plain classifier.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) class numbers from 0 to C - 1; -1, None and NaN are unknown.
        centres: (C, D), or (C, F) with `features`, not normalised.
        alpha: Weight of samples as positives beside the centre, at least 0; 0.05 as in the paper.
        temperature: Above 0; 0.2 as in the paper. A tensor of one number gets its gradient.
        centre_temperature: Of the centres' logits, above 0; 1 by default.
        prior: (C,) class frequencies for logit adjustment; the numerator's log prior, a constant, is left out of the
            value. None (default) for none.
        features: (N, F) compared with the centres, from before the head as in the authors' code; None (default) for
            unit vectors of z.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log(sum_{k != i} e^(S_ik) + sum_c prior_c e^(T_ic)) - (alpha sum_p S_ip + T_iy) / (alpha P + 1), p the P
        other rows of i's class y, T the dot of the unit vector z_i (or of its features) with a centre.

    Reference:
        Cui et al. 2021, arXiv:2107.12028.

    Example:
        >>> z, labels = torch.eye(2), torch.tensor([0, 1])  # no two of a class
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
    relation = relation if prior is None else relation & KeyWeight("count", what="candidates")
    return reduce_terms(loss=contrast(ours, Embeddings.stack(others, own), relation, loss=InfoNCE(), kernel=Dot()))


def _prior(given: Labels, centres: Tensor) -> Tensor:
    """(C,): class frequencies, none negative and not all 0."""
    prior = input_checks.amounts(given, centres, "prior")
    if not bool((prior >= 0).all() & (prior > 0).any()):
        raise UserError(f"prior holds {prior.min().item():g}; expected class frequencies of at least 0, some above.")
    return prior


def _few(ours: Embeddings, everyone: Embeddings, k: int, seed: int) -> tuple[Embeddings, Relation]:
    """Relation of the sample's other views and k drawn rows of its class."""
    k, seed = input_checks.whole(k, "k", least=0), input_checks.whole(seed, "seed")
    drawn = chosen(ours, everyone, SameKey("label") & DifferentGroup("id"), k=k, seed=seed)
    relation = SameKey("id") | (SameKey("label") & Neighbours("drawn", of="row"))
    return Embeddings(ours.z, {**ours.keys, "drawn": drawn}), relation
