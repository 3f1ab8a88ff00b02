"""Hierarchical contrast of TS2Vec: instants and samples are contrasted at every scale of time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, Stack, exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relation import Relation
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey

SAMPLE = SameKey("id")
_THERE = KeyWeight("mask") & KeyWeight("mask", what="candidates")


def hierarchical(
    one: Embeddings,
    two: Embeddings,
    relation: Relation = SAMPLE,
    *,
    ranks: Ranks | None = None,
    alpha: float = 0.5,
) -> dict[str, LossTerm]:
    """Contrast of two views of series, instant by instant, at every scale of time.

    Per instant, the other view of the sample is contrasted with other samples of the batch and with their views
    (instance-wise). Per sample, the same instant of the other view is contrasted with other instants (temporal). Then
    every two instants are pooled by their maximum, until one is left; the result is the mean over scales. Similarities
    are inner products, without temperature.

    An instant that `mask` leaves out is neither anchor nor candidate, and a pooled instant exists if both of its halves
    do. Series of other lengths therefore give the same in any padding and on any number of ranks.

    Args:
        one: (B, P, D) embeddings of one view with `id`, and `mask` if not all instants exist.
        two: Those of the other view; position p of a row is the same instant in both.
        relation: Positives and candidates of the instance-wise part. Default: the same sample.
        ranks: Access to other processes. Default: all that train together.
        alpha: Weight of the instance-wise part, 0 to 1; that of the temporal part is 1 - alpha. 0.5 as in the paper.

    Returns:
        `instance` and `temporal`, each the mean over scales; without `temporal` if there is a single instant.

    Raises:
        UserError: `alpha` is outside 0 to 1.

    Equation:
        L = 1/K sum_k (alpha I_k + (1 - alpha) T_k), K = floor(log2 P) + 1, T_K = 0; I_k is the mean over instants and
        rows of -log(e^(z_i z_j) / sum_m e^(z_i z_m)), j the other view, m all other rows of both views at that instant;
        T_k the same over instants of one sample.

    Reference:
        Yue et al. 2022, arXiv:2106.10466.

    Example:
        >>> keys = {"id": torch.arange(3)}
        >>> one, two = (Embeddings(torch.zeros(3, 4, 8), keys) for _ in range(2))
        >>> {name: round(term.value().item(), 4) for name, term in hierarchical(one, two).items()}
        {'instance': 0.8047, 'temporal': 0.5074}
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"hierarchical contrast: alpha={alpha}; expected a number from 0 to 1.")
    ranks = ranks or Ranks()
    names = [n for n in one.keys if n in {"id", "mask", *relation.reads()}]
    ours = Embeddings.stack(_side(one, names, 0), _side(two, names, 1))
    everyone = ranks.gather({"": ours})[""]
    scales = everyone.z.shape[1].bit_length()
    if bool(everyone.keys.get("mask", torch.ones(())).all()):  # without masks the engine lists the few positives
        ours, everyone = _unmasked(ours), _unmasked(everyone)
    instance, temporal = [], []
    for scale in range(scales):
        here = ours.z.shape[1]
        # Depends on the rows of all ranks, as every term does: no rank may leave out the exchange of gradients.
        none = LossTerm(ours.z[:0].sum() + everyone.z[:0].sum(), exact(ours.z.new_zeros(())))
        others = ours if ranks.world == 1 else everyone
        instance.append(_instance(ours, others, relation) if here and len(ours) else none)
        if scale < scales - 1:
            temporal.append(_temporal(ours) if here and len(ours) else none)
            ours, everyone = _pooled(ours), everyone if ranks.world == 1 else _pooled(everyone)
    parts = {"instance": (instance, alpha), "temporal": (temporal, 1 - alpha)}
    return {n: weight * _over_scales(terms, scales, ranks) for n, (terms, weight) in parts.items() if terms}


def _side(rows: Embeddings, names: Sequence[str], view: int) -> Embeddings:
    """The keys that are compared, and the number of the view."""
    keys = {name: rows.keys[name] for name in names}
    return Embeddings(rows.z, {**keys, "view": torch.full_like(keys["id"], view)})


def _unmasked(rows: Embeddings) -> Embeddings:
    return Embeddings(rows.z, {name: key for name, key in rows.keys.items() if name != "mask"})


def _instance(ours: Embeddings, everyone: Embeddings, relation: Relation) -> LossTerm:
    """A problem per instant, among the rows of all ranks."""
    anchors, P = ours.stacked(1), ours.z.shape[1]
    if everyone is ours:
        return _contrast(anchors, anchors, relation)
    keys = {name: key[:, :P] if name == "mask" else key for name, key in everyone.keys.items()}
    return _contrast(anchors, Embeddings(everyone.z[:, :P], keys).stacked(1), relation)


def _temporal(ours: Embeddings) -> LossTerm:
    """A problem per sample, among the instants of its two views."""
    B, P = len(ours) // 2, ours.z.shape[1]
    n = torch.arange(2 * P, device=ours.z.device)[None]
    keys = {"id": n % P, "view": n // P}
    if "mask" in ours.keys:
        keys["mask"] = torch.cat(ours.keys["mask"].split(B), 1)
    rows = Stack(torch.cat(ours.z.split(B), 1), keys)
    return _contrast(rows, rows, SAMPLE)


def _contrast(anchors: Stack, candidates: Stack, relation: Relation) -> LossTerm:
    mask = anchors.keys.get("mask")
    relation = relation if mask is None and "mask" not in candidates.keys else relation & _THERE
    return contrast(anchors, candidates, relation, loss=InfoNCE(), kernel=Dot(), weight=mask)


def _pooled(rows: Embeddings) -> Embeddings:
    """The maximum of every two instants; an instant without a second half is left out."""
    half = rows.z.shape[1] // 2
    even, odd = (slice(start, 2 * half, 2) for start in (0, 1))
    keys = dict(rows.keys)
    if "mask" in keys:
        keys["mask"] = keys["mask"][:, even] & keys["mask"][:, odd]
    return Embeddings(torch.maximum(rows.z[:, even], rows.z[:, odd]), keys)


def _over_scales(terms: Sequence[LossTerm], scales: int, ranks: Ranks) -> LossTerm:
    """Mean over scales of each one's mean over the anchors of all ranks, counted by the anchors of the finest."""
    counts = ranks.sum(torch.stack([exact(term.count) for term in terms]))
    shares = (counts[0] / counts.clamp_min(1) / scales).unbind()

    def mean(values: Sequence[Tensor | float | None]) -> Tensor:
        return torch.stack([torch.as_tensor(v, dtype=s.dtype) * s for v, s in zip(values, shares, strict=True)]).sum()

    total = mean([term.total for term in terms])
    return LossTerm(
        total.to(terms[0].total.dtype),
        terms[0].count,
        negatives=mean([term.negatives for term in terms]),
        chance=mean([0.0 if term.chance is None else term.chance for term in terms]),
    )
