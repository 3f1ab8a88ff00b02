"""Encoders of tables: shapes, rows apart from their batch, gradients, and what they refuse."""

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.column_mlp import ColumnMLP
from kontrast.encoders.ft_transformer import FTTransformer

SIZES = [10, 3, 8, 5]
MADE = {"column_mlp": ColumnMLP, "ft_transformer": FTTransformer}


def rows(n=6):
    return torch.randn(n, sum(SIZES), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_row_has_the_same_features_in_any_batch(made):
    torch.manual_seed(0)
    encoder = made(column_sizes=SIZES, dropout=0.1).eval()
    seen, alone = encoder(rows()), encoder(rows()[2:3])
    assert seen.pooled.shape == (6, encoder.width)
    assert seen.dense.shape == (6, len(SIZES), encoder.dense_width)
    torch.testing.assert_close(seen.pooled[2:3], alone.pooled)
    torch.testing.assert_close(encoder.traced(rows()), seen.pooled)


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_every_column_reaches_the_features_and_every_weight_learns(made):
    torch.manual_seed(0)
    encoder, x = made(column_sizes=SIZES), rows().requires_grad_()
    seen = encoder(x)
    (seen.pooled.square().sum() + seen.dense.sum()).backward()
    assert bool((x.grad.abs().sum(0) > 0).all())
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_column_becomes_a_token_by_its_own_features_alone():
    torch.manual_seed(0)
    encoder, x = FTTransformer(column_sizes=SIZES), rows(1)
    tokens = []
    for column, (weight, bias) in enumerate(zip(encoder.weight, encoder.bias, strict=True)):
        start = sum(SIZES[:column])
        own = x[0, start : start + SIZES[column]]
        tokens.append(sum(v * w for v, w in zip(own, weight, strict=False)) + bias)
    h = torch.cat([encoder.first[None], torch.stack(tokens)])[None]
    for block in encoder.blocks:
        h = block(h)
    torch.testing.assert_close(encoder(x).dense, encoder.norm(h)[:, 1:])


def test_recomputed_activations_give_the_same_gradient():
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        encoder = FTTransformer(column_sizes=SIZES)
        assert not again or encoder.recompute()
        encoder(rows()).pooled.sum().backward()
        found.append(encoder.weight.grad.clone())
    torch.testing.assert_close(*found)


def test_too_many_columns_and_heads_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="found 10,000 columns; expected at most 1,000"):
        FTTransformer(column_sizes=[3] * 10_000)
    with pytest.raises(UserError, match="token=10 and heads=4"):
        FTTransformer(column_sizes=SIZES, token=10, heads=4)
    assert ColumnMLP(column_sizes=[3] * 10_000, hidden=4, out=4)(torch.zeros(2, 30_000)).pooled.shape == (2, 8)
