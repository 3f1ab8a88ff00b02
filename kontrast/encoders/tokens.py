"""A small, fast encoder of token ids that learns from scratch on a CPU."""

import torch
from torch import Tensor, nn

from kontrast.encoders.encoder import Encoder


class Tokens(Encoder):
    """Short texts from scratch: the mean of token embeddings, and of gated convolutions over them.

    x: (B, L) int64 token ids, -1 after the end -> (B, width). dropout makes two looks at one text differ (SimCSE, Gao et al. 2021).
    """

    def __init__(self, *, vocabulary: int, width: int = 256, layers: int = 1, window: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary + 1, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight[1:], std=0.3)
        self.mixers = nn.ModuleList(_GatedConvolution(width, window) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Masked mean over the tokens."""
        there_BL1 = (x >= 0)[:, :, None]
        h_BLD = self.dropout(self.embedding(x + 1))
        for mix in self.mixers:
            h_BLD = mix(h_BLD) * there_BL1
        return self.norm(h_BLD.sum(1) / there_BL1.sum(1).clamp_min(1))


class _GatedConvolution(nn.Module):
    """h + W(depthwise(norm h) * sigmoid gate): neighbours of a token change what it means."""

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.conv = nn.Conv1d(width, width, window, padding=window // 2, groups=width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, h_BLD: Tensor) -> Tensor:
        value, gate = self.inner(self.norm(h_BLD)).chunk(2, -1)
        return h_BLD + self.outer(self.conv(value.transpose(1, 2)).transpose(1, 2) * gate.sigmoid())
