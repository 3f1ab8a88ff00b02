"""Losses on plain tensors with explicit negatives, or with margins between pairs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.adapters import Folded, gathered, reduce_terms, rows
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.pairwise.pair_margin import PairMargin
from kontrast.losses.relation import CandidatesOnly, Relation
from kontrast.losses.relations.distance_weighted import DistanceWeighted
from kontrast.losses.relations.easy_positive import EasyPositive
from kontrast.losses.relations.false_negatives import FalseNegatives
from kontrast.losses.relations.guided import Guided
from kontrast.losses.relations.hardness import Hardness
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup

# How triplets are picked: all there are, or one of these rules.
MINING = ("all", "semihard", "hard", "easy", "distance")


def infonce(
    query: Tensor,
    key: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.05,
    both: bool = False,
    in_batch: bool = True,
    false_negatives: float | None = None,
    hardness: float = 0.0,
    guide: Sequence[Tensor] | None = None,
    guide_margin: float = 0.0,
) -> Tensor:
    """One-way InfoNCE: each query picks its key among all keys and explicit negatives.

    Take it for retrieval, with queries and documents (MultipleNegativesRankingLoss of sentence-transformers); for
    symmetric pairs take `clip`.

    Args:
        query: (N, D) embeddings, normalised here.
        key: (N, D), row k the key of query k.
        negatives: (M, D), further candidates of every query; or (N, K, D), K hard negatives of each query, which no
            other query sees. None (default): only the other keys of the batch.
        temperature: Above 0; 0.05, as the scale of 20 in sentence-transformers. A tensor of one number gets its
            gradient.
        both: Also let each key pick its query among all queries, and take the mean of both. False by default.
        in_batch: Whether the keys of other queries are candidates (default). False needs explicit negatives.
        false_negatives: Margin above the key's cosine beyond which negatives are left out; 0.1 in Qwen3-Embedding. None
            (default) keeps all.
        hardness: Added to the logit of each negative, times its cosine without gradient; 0 by default, 5 in
            EmbeddingGemma.
        guide: A second model's embeddings of (query, key), or (query, key, negatives): negatives that it finds more
            similar than query and key are left out (GISTEmbed). None by default.
        guide_margin: Also leave out negatives less similar by up to this; 0 as in sentence-transformers.

    Returns:
        A scalar, the mean over queries.

    Raises:
        UserError: Shapes that do not fit, a setting outside its bounds, or no negatives at all.

    Equation:
        L_i = log sum_k e^(S_ik) - S_ii, S the cosine over the temperature, k the candidates.

    Reference:
        van den Oord et al. 2018, arXiv:1807.03748; Henderson et al. 2017, arXiv:1705.00652.

    Example:
        >>> round(infonce(torch.eye(2), torch.eye(2), temperature=1.0).item(), 4)  # log(e + 1) - 1
        0.3133
    """
    input_checks.aligned(query=query, key=key)
    both, in_batch = input_checks.flag(both, "both"), input_checks.flag(in_batch, "in_batch")
    hardness = input_checks.number(hardness, "hardness", least=0)
    guide_margin = input_checks.number(guide_margin, "guide_margin")
    if false_negatives is not None:
        false_negatives = input_checks.number(false_negatives, "false_negatives", hint=", or None")
    if negatives is None and not in_batch:
        raise UserError("in_batch=False and no negatives; expected negatives, (M, D) or (N, K, D), to compare with.")
    temperature = input_checks.temperature(temperature)
    unit = float(1 / torch.as_tensor(temperature).detach())
    asking = sphere(query, temperature)
    guides = _guides(guide, query, key, negatives)
    candidates, relation = _candidates(sphere(key), negatives, in_batch, guides)
    relation = _mined(relation, false_negatives, hardness, guides is not None, guide_margin)
    ours = rows(asking, {} if guides is None else {"guide": guides[0]})
    kernel = Folded(unit)
    forth = contrast(ours, candidates, relation, loss=InfoNCE(), kernel=kernel)
    if not both:
        return reduce_terms(loss=forth)
    asked = gathered(rows(asking, {} if guides is None else {"guide": guides[0]}))
    keys = rows(sphere(key), {} if guides is None else {"guide": guides[1]}, view=1)
    relation = _mined(SameKey("id"), false_negatives, hardness, guides is not None, guide_margin)
    back = contrast(keys, asked, relation, loss=InfoNCE(), kernel=kernel)
    return reduce_terms(forth=0.5 * forth, back=0.5 * back)


def pair_margin(z: Tensor, labels: Any, *, margin: float = 1.0, near: float = 0.0, power: float = 2.0) -> Tensor:
    """Contrastive loss with a margin: a label to one point, others at a distance.

    The oldest contrastive loss, simple; negatives beyond the margin teach nothing. `triplet` or `supcon` usually learn
    more.

    Args:
        z: (N, D) embeddings, normalised here.
        labels: (N,) classes: whole numbers, bools or names; -1, None and NaN are unknown.
        margin: Distance beyond which another label costs nothing; on the sphere at most 2.
        near: Distance within which the same label costs nothing.
        power: 2 as in the paper; 1 as in pytorch-metric-learning.

    Returns:
        A scalar, the mean over anchors that have a positive.

    Raises:
        UserError: No label that two rows have, shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = mean_p [d_ip - near]+^power + mean_n [margin - d_in]+^power, d the distance of the unit vectors.

    Reference:
        Hadsell, Chopra, LeCun 2006, "Dimensionality reduction by learning an invariant mapping", CVPR.

    Example:
        >>> z = torch.eye(2)[[0, 0, 1]]
        >>> round(pair_margin(z, torch.tensor([0, 0, 1]), margin=2.0).item(), 4)  # (2 - sqrt 2)^2
        0.3431
    """
    ours = rows(sphere(input_checks.embeddings(z)), {"label": input_checks.labels(labels, z)})
    loss = PairMargin(margin=margin, near=near, power=power)
    return reduce_terms(loss=contrast(ours, gathered(ours), SameKey("label"), loss=loss, kernel=Dot()))


def simsiam(p: Tensor, t: Tensor) -> Tensor:
    """SimSiam: negative cosine of predictions and targets without gradient.

    Take it with a predictor, in both directions, each weighed 1/2; it needs no negatives, so small batches suffice.
    With a moving-average target network take `byol`.

    Args:
        p: (N, D) predictions of one view, normalised here.
        t: (N, D) projections of the other view.

    Returns:
        A scalar between -1 and 1, the mean over rows; half of BYOL's, less 1.

    Raises:
        UserError: Shapes that do not fit.

    Equation:
        L_k = -cos(p_k, sg(t_k))

    Reference:
        Chen & He 2021, arXiv:2011.10566.

    Example:
        >>> simsiam(torch.eye(2), torch.eye(2))
        tensor(-1.)
    """
    input_checks.aligned(p=p, t=t)
    return reduce_terms(loss=NegativeCosine()(rows(p), rows(t, view=1)))


def mined_triplet(z: Tensor, labels: Any, loss: ContrastiveLoss, mining: str, seed: int) -> Tensor:
    """Triplet loss in squared distance on the sphere, over mined positives or negatives."""
    ours = rows(sphere(input_checks.embeddings(z)) * 2**0.5, {"label": input_checks.labels(labels, z)})
    same = SameKey("label")
    relation = EasyPositive(same) if mining == "easy" else DistanceWeighted(same, seed=seed)
    return reduce_terms(loss=contrast(ours, gathered(ours), relation, loss=loss, kernel=Folded(2.0)))


def _guides(
    guide: Sequence[Tensor] | None, query: Tensor, key: Tensor, negatives: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """The guide's embeddings of queries, keys and negatives (flattened)."""
    if guide is None:
        return None
    listed = isinstance(guide, Sequence) and not isinstance(guide, Tensor)
    if not listed or not all(isinstance(g, Tensor) and g.ndim > 1 and len(g) for g in guide):
        raise UserError("guide is no pair of tensors; expected a second model's embeddings of (query, key).")
    wanted = 2 if negatives is None else 3
    if len(guide) != wanted or len(guide[0]) != len(query) or len(guide[1]) != len(key):
        shapes = ", ".join(str(tuple(g.shape)) for g in guide)
        raise UserError(
            f"guide holds {len(guide)} tensors ({shapes}); expected {wanted}, of query, key"
            f"{', negatives' * (wanted == 3)}, with a row for each of theirs."
        )
    third = None if negatives is None else guide[2].reshape(-1, guide[2].shape[-1])
    return guide[0].detach(), guide[1].detach(), None if third is None else third.detach()


def _candidates(
    key: Tensor, negatives: Tensor | None, in_batch: bool, guides: tuple[Tensor, Tensor, Tensor | None] | None
) -> tuple[Embeddings, Relation]:
    """Keys and negatives of all processes, and which of them count for each anchor."""
    ours = rows(key, {} if guides is None else {"guide": guides[1]}, view=1)
    if negatives is None:
        return gathered(ours), SameKey("id")
    if not isinstance(negatives, Tensor) or not negatives.is_floating_point() or not negatives.numel():
        raise UserError("negatives hold no floating-point numbers; expected a tensor (M, width) or (rows, K, width).")
    own = negatives.ndim == 3
    if negatives.ndim not in (2, 3) or negatives.shape[-1] != key.shape[-1] or (own and len(negatives) != len(key)):
        raise UserError(
            f"negatives of shape {tuple(negatives.shape)}; expected (M, {key.shape[-1]}), or ({len(key)}, K, "
            f"{key.shape[-1]}) with those of each query."
        )
    flat = sphere(negatives.reshape(-1, key.shape[-1]).to(key.dtype))
    more = rows(flat, {} if guides is None or guides[2] is None else {"guide": guides[2]})
    # A negative's id is its query's where it is of one query; else one that no query has.
    ids = ours.keys["id"].repeat_interleave(negatives.shape[1]) if own else -1 - more.keys["id"]
    view = 2 + (torch.arange(len(flat), device=key.device) % negatives.shape[1] if own else 0 * ids)
    one, zero = torch.ones_like(ours.z[:, 0]), torch.zeros_like(flat[:, 0])
    ours = Embeddings(ours.z, {**ours.keys, "pulls": one, "seen": one if in_batch else 0 * one})
    more = Embeddings(more.z, {**more.keys, "id": ids, "view": view, "pulls": zero, "seen": zero if own else zero + 1})
    whose = WithinGroup("id") | KeyWeight("seen", what="candidates")
    return gathered(Embeddings.stack(ours, more)), SameKey("id") & KeyWeight("pulls") & CandidatesOnly(whose)


def _mined(
    relation: Relation, false_negatives: float | None, hardness: float, guided: bool, guide_margin: float
) -> Relation:
    if guided:
        relation = Guided(relation, margin=guide_margin)
    if false_negatives is not None:
        relation = FalseNegatives(relation, margin=false_negatives)
    return Hardness(relation, strength=hardness) if hardness else relation
