"""A causal transformer over sequences of items.

Axis letters: B rows, L items of a row, D width.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_SPREAD = 0.02  # standard deviation of vectors of items and places at the start


class SASRec(Encoder):
    """Transformer in which each item sees those before it; a row is pooled to the state after its last item.

    Take it for histories of items, above all with the task `next_item`. Dense features hold the state after each item
    and beside it the item's own vector, so that a task can compare states with items.

    Args:
        vocabulary: Number of item numbers; from the data.
        length: Most items of a row, from the data; the last two places share one vector, since the last place is never
            followed by an item that could teach it.
        width: Width of states and of vectors of items.
        depth: Layers.
        heads: Attention heads; must divide `width`.
        dropout: In training; 0.5 in the paper for sparse data.

    Raises:
        UserError: heads that do not divide the width.

    Equation:
        h_t = Transformer(sqrt(D) e_1 + p_1, ..., sqrt(D) e_t + p_t)_t

    Reference:
        Kang, McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, arXiv:1808.09781.

    Example:
        >>> SASRec(vocabulary=9)(torch.tensor([[2, 3, -1], [3, 4, 5]])).pooled.shape
        torch.Size([2, 64])
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        length: Annotated[int, Range(2)] = 50,
        width: Annotated[int, Range(1)] = 64,
        depth: Annotated[int, Range(1, 100)] = 2,
        heads: Annotated[int, Range(1)] = 2,
        dropout: Annotated[float, Range(0, 0.99)] = 0.2,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"sasrec: width={width}, heads={heads}; expected a width that the heads divide.")
        self.width, self.dense_width = width, 2 * width
        self.items, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length - 1, width)
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=_SPREAD)
        self.dropout = nn.Dropout(dropout)
        layers = (
            nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, F.gelu, batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.layers, self.norm = nn.ModuleList(layers), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Features:
        """Features of sequences.

        Args:
            x: (B, L) int64 numbers of items, -1 after the end.

        Returns:
            Pooled (B, width), zeros for a row without items; dense (B, L, 2 width): states, then vectors of items.
        """
        there_BL = x >= 0
        items_BLD = self.items(x.clamp_min(0))
        at = torch.arange(x.shape[1], device=x.device)
        place = self.places(at.clamp_max(self.places.num_embeddings - 1))
        h_BLD = self.dropout(items_BLD * self.width**0.5 + place)
        later = at[:, None] < at  # what lies after the end comes later too, so it needs no mask of its own
        for layer in self.layers:
            again = self.recomputes and torch.is_grad_enabled()
            h_BLD = checkpoint(layer, h_BLD, later, use_reentrant=False) if again else layer(h_BLD, src_mask=later)
        h_BLD = self.norm(h_BLD)
        count_B = there_BL.sum(1)
        pooled_BD = h_BLD.gather(1, (count_B - 1).clamp_min(0)[:, None, None].expand(-1, 1, self.width))[:, 0]
        pooled_BD = pooled_BD * (count_B > 0)[:, None]
        if not self.gives_dense:
            return Features(pooled_BD)
        return Features(pooled_BD, torch.cat([h_BLD, items_BLD], 2), there_BL)

    def recompute(self) -> bool:
        """Keeps only what lies between layers; always possible."""
        self.recomputes = True
        return True
