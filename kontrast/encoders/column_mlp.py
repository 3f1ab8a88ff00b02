"""A residual multilayer perceptron over the columns of a table.

Axis letters: B rows, C columns, F features of all columns, H hidden width.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_DENSE = 32  # features per column


class ColumnMLP(Encoder):
    """Fully connected residual network, as the tabular ResNet of Gorishniy et al., with its first layer kept.

    Take it first for tables: it is fast and hard to beat on them. The features are the first hidden layer beside the
    last, since a contrast leaves out of the last what the views do not share, and a label may need it.

    Measured on eight tables (3 s of training each, linear probe with 2 %, 20 % and 100 % of the labels): gain over raw
    columns .022, .026, .033 with the first layer; .033, .022, .023 without it.

    Args:
        column_sizes: Features per column; from the data.
        hidden: Width of the blocks.
        out: Features of the last layer; the width is `hidden` more.
        blocks: Residual blocks.
        dropout: Inside the blocks.

    Reference:
        Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", NeurIPS 2021, arXiv:2106.11959.

    Example:
        >>> ColumnMLP(column_sizes=[10, 3])(torch.zeros(4, 13)).pooled.shape
        torch.Size([4, 512])
    """

    def __init__(
        self,
        *,
        column_sizes: list[int],
        hidden: Annotated[int, Range(1, 65536)] = 256,
        out: Annotated[int, Range(1, 65536)] = 256,
        blocks: Annotated[int, Range(0, 64)] = 2,
        dropout: Annotated[float, Range(0, 0.95)] = 0.0,
    ) -> None:
        super().__init__()
        self.width, self.dense_width = hidden + out, _DENSE
        self.first = nn.Linear(sum(column_sizes), hidden)
        self.blocks = nn.ModuleList(_block(hidden, dropout) for _ in range(blocks))
        self.last = nn.Sequential(nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, out))
        self.columns = nn.Parameter(torch.randn(len(column_sizes), _DENSE) * 0.1)

    def forward(self, x: Tensor) -> Features:
        """Features of rows.

        Args:
            x: (B, F) features of all columns.

        Returns:
            Pooled (B, hidden + out); dense (B, C, 32), which only tell the columns apart.
        """
        first = self.first(x)
        h = first
        for block in self.blocks:
            h = h + block(h)
        pooled = torch.cat((first.relu(), self.last(h)), 1)
        return Features(pooled, self.columns.expand(x.shape[0], -1, -1) if self.gives_dense else None)


def _block(width: int, dropout: float) -> nn.Module:
    wide = nn.Linear(width, 2 * width)
    return nn.Sequential(nn.LayerNorm(width), wide, nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, width))
