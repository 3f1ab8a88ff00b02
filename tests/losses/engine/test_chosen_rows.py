"""Positives that are kept at random, and nearest rows, against full counts and sorts."""

import math

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.losses.engine.nearest_neighbours import nearest
from kontrast.losses.engine.positives import chosen
from kontrast.losses.relation import named
from kontrast.losses.relations.same_key import SameKey

pytestmark = pytest.mark.quick


def test_each_positive_is_as_likely_to_be_kept_as_any_other():
    ids, view = torch.arange(12), torch.zeros(12, dtype=torch.long)
    rows = Embeddings(torch.zeros(12, 1), {"id": ids, "view": view, "label": view})
    names = named(rows)["row"]
    hits = torch.zeros(12, 12)
    for seed in range(200):
        kept = chosen(rows, rows, SameKey("label"), k=3, seed=seed)
        hits += (kept[:, :, None] == names).any(1)
    expected = 200 * 3 / 11
    off = hits[~torch.eye(12, dtype=torch.bool)]
    assert hits.diag().sum() == 0
    assert (off - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("tile", [5, 1 << 20])
def test_the_nearest_rows_are_those_of_a_full_sort(tile):
    g = torch.Generator().manual_seed(0)
    z, bank = torch.randn(7, 5, generator=g), torch.randn(11, 5, generator=g)
    full = F.cosine_similarity(z[:, None], bank[None], dim=-1).argsort(descending=True)[:, :3]
    assert torch.equal(nearest(z, bank, torch.arange(11) + 50, k=3, tile=tile), full + 50)
    own = nearest(bank, bank, torch.arange(11), k=11, own=torch.arange(11), tile=tile)
    assert (own != torch.arange(11)[:, None]).all()
    assert (own[:, -1] == -1).all()
    assert (nearest(z, bank[:2], torch.arange(2), k=4)[:, 2:] == -1).all()
