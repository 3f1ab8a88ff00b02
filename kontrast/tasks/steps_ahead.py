"""Contrast of predictions with what followed: the loss of CPC, and the temporal part of TS-TCC.

Axis letters: B rows, A predictions per row and step, K steps ahead, N anchors, E width.
"""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, Stack
from kontrast.core.ranks import Ranks
from kontrast.encoders.features import Features
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey

_THERE = KeyWeight("mask") & KeyWeight("mask", what="candidates")


def instants_of(features: Features, here_B: Tensor) -> tuple[Tensor, Tensor]:
    """Dense features of series, (B, P, E), and how many instants each row has, (B,); 0 without the field."""
    dense, mask = features.dense, features.mask
    assert dense is not None
    found = dense.new_full((len(dense),), dense.shape[1], dtype=torch.long) if mask is None else mask.sum(1)
    return dense, found * here_B


def following(dense: Tensor, at_BA: Tensor, ends_B: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The latents after instants of each row, and which of them exist.

    Args:
        dense: (B, P, E), of all instants.
        at_BA: Instants that predictions are made at; -1 for none.
        ends_B: Number of instants of each row.
        steps: Steps ahead, K.

    Returns:
        (B, A K, E), the latents 1 to K steps after each instant, and (B, A K) bool.
    """
    ahead = at_BA[:, :, None] + torch.arange(1, steps + 1, device=dense.device)
    there = ((at_BA[:, :, None] >= 0) & (ahead < ends_B[:, None, None])).flatten(1)
    place = ahead.flatten(1).clamp(0, dense.shape[1] - 1)
    return dense.gather(1, place[..., None].expand(-1, -1, dense.shape[2])), there


def steps_ahead(predictions: Embeddings, latents: Embeddings, ranks: Ranks, *, steps: int, content: str) -> LossTerm:
    """Predictions of this rank against the latents of all ranks, step by step.

    A prediction meets the latents that were predicted the same number of steps ahead: of all rows, and of other
    instants of its own row. Similarities are inner products, without temperature. Duplicates are no negatives.

    Args:
        predictions: (B, A K, E), the K predictions of an instant side by side, with `mask`.
        latents: What followed, likewise.
        ranks: Access to other processes.
        steps: Steps ahead, K.
        content: Key of the content, equal for duplicates.

    Returns:
        The sum over predictions, with their count.

    Equation:
        L = mean_itk -log(e^(p_itk z_i,t+k) / sum_ju e^(p_itk z_j,u+k)), p_itk the prediction of row i, made at t, k
        steps ahead; j, u all rows and the instants that predictions were made at.
    """
    names = ("id", "mask", content)
    ours, theirs = (Embeddings(rows.z, {n: rows.keys[n] for n in names}) for rows in (predictions, latents))
    everyone = ranks.gather({"": Embeddings(theirs.z, {**theirs.keys, "view": theirs.keys["id"] * 0})})[""]
    relation = SameKey("id") & SameKey("place") & ExcludeDuplicates(content)
    if not bool(everyone.keys["mask"].all()):  # without masks the engine lists the few positives
        relation = relation & _THERE
    return contrast(_stacked(ours, steps, 0), _stacked(everyone, steps, 1), relation, loss=InfoNCE(), kernel=Dot())


def _stacked(rows: Embeddings, steps: int, view: int) -> Stack:
    """A problem per step: (B, A K, E) -> (K, B A, E); `place` is the number of the prediction in its row."""
    B, A = len(rows), rows.z.shape[1] // steps
    z_KNE = rows.z.unflatten(1, (A, steps)).permute(2, 0, 1, 3).flatten(1, 2)
    keys = {n: key.repeat_interleave(A, 0)[None] for n, key in rows.keys.items() if n not in ("mask", "view")}
    place = torch.arange(A, device=z_KNE.device).repeat(B)[None]
    mask = rows.keys["mask"].unflatten(1, (A, steps)).permute(2, 0, 1).flatten(1, 2)
    return Stack(z_KNE, {**keys, "place": place, "view": torch.full_like(place, view), "mask": mask})
