"""A transformer over the columns of a table: each column is a token.

Axis letters: B rows, C columns, P most features of a column, F features of all columns, D width of a token, N heads.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_COLUMNS = 1_000  # attention between more tokens takes gigabytes


class FTTransformer(Encoder):
    """Feature tokenizer and transformer, for tables with interacting columns and time to train.

    Each column becomes a token by weights of its own; attention runs over the tokens and one more, whose features are
    pooled beside the mean. Many times slower than `ColumnMLP`. It gives dense features, so that masked prediction
    suits it.

    Args:
        column_sizes: Features per column; from the data.
        token: Width of a token; divisible by `heads`.
        heads: Attention heads.
        blocks: Layers.
        dropout: On attention and inside the feed-forward layers.

    Raises:
        UserError: more than 1,000 columns, or a width that the heads do not divide.

    Reference:
        Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021, arXiv:2106.11959.

    Example:
        >>> FTTransformer(column_sizes=[10, 3])(torch.zeros(4, 13)).dense.shape
        torch.Size([4, 2, 64])
    """

    feature_CP: Tensor

    def __init__(
        self,
        *,
        column_sizes: list[int],
        token: Annotated[int, Range(1, 4096)] = 64,
        heads: Annotated[int, Range(1, 64)] = 4,
        blocks: Annotated[int, Range(1, 64)] = 2,
        dropout: Annotated[float, Range(0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        if len(column_sizes) > _COLUMNS:
            raise UserError(
                f"ft_transformer: found {len(column_sizes):,} columns; expected at most {_COLUMNS:,}, since each is a "
                "token. Take column_mlp, or name fewer columns (--set views.table.columns=[...])."
            )
        if token % heads:
            raise UserError(f"ft_transformer: token={token} and heads={heads}; expected a width that the heads divide.")
        self.width, self.dense_width = 2 * token, token
        most = max(column_sizes)
        self.weight = nn.Parameter(torch.randn(len(column_sizes), most, token) * most**-0.5)
        self.bias = nn.Parameter(torch.randn(len(column_sizes), token) * 0.5)
        self.first = nn.Parameter(torch.randn(token) * 0.5)
        self.blocks = nn.ModuleList(_Block(token, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(token)
        self.register_buffer("feature_CP", _places(column_sizes), persistent=False)

    def forward(self, x: Tensor) -> Features:
        """Features of rows.

        Args:
            x: (B, F) features of all columns.

        Returns:
            Pooled (B, 2 token): the added token, and the mean; dense (B, C, token).
        """
        x_BCP = F.pad(x, (0, 1))[:, self.feature_CP]
        h = torch.einsum("bcp,cpd->bcd", x_BCP, self.weight) + self.bias
        h = torch.cat((self.first.expand(x.shape[0], 1, -1), h), 1)
        for block in self.blocks:
            again = self.recomputes and torch.is_grad_enabled()
            h = checkpoint(block, h, use_reentrant=False) if again else block(h)
        h = self.norm(h)
        return Features(torch.cat((h[:, 0], h[:, 1:].mean(1)), 1), h[:, 1:])

    def recompute(self) -> bool:
        """Keeps only what lies between layers; always possible."""
        self.recomputes = True
        return True


class _Block(nn.Module):
    """Attention over tokens and a gated feed-forward layer, both normalised before: (B, C, D) -> (B, C, D)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.before(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).flatten(2)
        x = x + self.out(seen)
        value, gate = self.wide(self.between(x)).chunk(2, 2)
        return x + self.narrow(F.dropout(value * F.relu(gate), self.dropout, self.training))


def _places(sizes: Sequence[int]) -> Tensor:
    """(C, P) places of each column's features among all F; F, which is padding, after the last."""
    total, start = sum(sizes), 0
    places = torch.full((len(sizes), max(sizes)), total)
    for row, size in zip(places, sizes, strict=True):
        row[:size] = torch.arange(start, start + size)
        start += size
    return places
