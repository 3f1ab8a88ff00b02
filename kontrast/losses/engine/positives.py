"""Sums and random samples of each anchor's positives.

A relation is elementwise. If a loss needs a sum over a row, or k of its entries, these are computed here once and
passed on as a key (`KeyWeight`, `Neighbours`), so that relation and loss stay as they are.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.embeddings import Embeddings
from kontrast.losses.relation import Distinct, Relation, named
from kontrast.losses.tile_weights import TILE, Tile, tiles


def pull(anchors: Embeddings, candidates: Embeddings, relation: Relation, *, tile: int = TILE) -> Tensor:
    """Sum of the attraction of each anchor, (N,).

    With weights 0 and 1 it is the number of positives. Does not take stacks.
    """
    sums = anchors.z.new_zeros(len(anchors), dtype=torch.promote_types(anchors.z.dtype, torch.float32))
    for t in _walk(anchors, candidates, relation, sums.dtype, tile):
        sums[t.rows] = t.positives.sum()[0].to(sums.dtype)
    return sums


def chosen(
    anchors: Embeddings, candidates: Embeddings, relation: Relation, *, k: int, seed: int = 0, tile: int = TILE
) -> Tensor:
    """Up to k random positives of each anchor, as `row` numbers padded with -1.

    `relation & Neighbours("kept", of="row")` then has at most k positives per anchor: k-positive contrastive learning
    (KCL, Kang et al., ICLR 2021), in which rare and frequent classes pull alike. The choice is a hash of (seed, both
    rows): the same on any rank and in any order of the batch. Does not take stacks.

    Returns:
        (N, k) integers.
    """
    kept = torch.full((len(anchors), k), -1, device=anchors.z.device)
    of_a, of_c = named(anchors)["row"], named(candidates)["row"]
    salt = random_streams.mix(torch.tensor(seed, device=anchors.z.device) + 1)
    for t in _walk(anchors, candidates, relation, torch.float32, tile):
        if t.positives.at is None:
            i, j = t.positives.dense()[0].nonzero(as_tuple=True)
        else:
            i, j = (side[t.positives.values != 0] for side in t.positives.at)
        draw = random_streams.mix(random_streams.mix(of_a[t.rows][i] + salt) + of_c[j])
        order = draw.argsort()
        order = order[i[order].argsort(stable=True)]
        i, j = i[order], j[order]
        place = torch.arange(len(i), device=i.device) - torch.searchsorted(i, i)
        kept[t.rows.start + i[place < k], place[place < k]] = of_c[j[place < k]]
    return kept


def _walk(
    anchors: Embeddings, candidates: Embeddings, relation: Relation, dtype: torch.dtype, tile: int
) -> Iterator[Tile]:
    left = {name: key[None] for name, key in named(anchors).items()}
    right = {name: key[None] for name, key in named(candidates).items()}
    return tiles(relation & Distinct(), left, right, (1, len(anchors), len(candidates)), dtype, tile)
