"""Causal transformer decoder of texts, which attends to the features of another field.

Axis letters: B rows, L tokens, P positions of the features, H width, K heads, W width per head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError

INNER = 4
"""Width of a block's hidden layer, in units of its own."""


class Attention(nn.Module):
    """Multi-head attention from (B, L, H) to (B, P, H).

    Products are plain, since fused kernels have no deterministic gradient on a GPU.

    Args:
        width: Width of both sides.
        heads: Number of heads; divides `width`.
    """

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.out = (nn.Linear(width, n * width) for n in (1, 2, 1))

    def forward(self, x: Tensor, to: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attends from x to `to`.

        Args:
            x: (B, L, H).
            to: (B, P, H).
            mask: What may be seen, bool, (B, 1, P) or (L, P); None: everything.
        """
        q_BKLW, k_BKPW, v_BKPW = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(to).chunk(2, 2))
        )
        score_BKLP = q_BKLW @ k_BKPW.mT / math.sqrt(q_BKLW.shape[3])
        if mask is not None:
            mask = mask[:, None] if mask.ndim == 3 else mask
            score_BKLP = score_BKLP.masked_fill(~mask, torch.finfo(score_BKLP.dtype).min)
        return self.out((score_BKLP.softmax(3) @ v_BKPW).transpose(1, 2).flatten(2))


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to features, and a perceptron, each after a layer norm and beside a shortcut.

    Args:
        width: Width of tokens and features.
        heads: Heads of each attention.

    Reference:
        Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.itself, self.across = (Attention(width=width, heads=heads) for _ in range(2))
        self.inner = nn.Sequential(nn.Linear(width, INNER * width), nn.GELU(), nn.Linear(INNER * width, width))

    def forward(self, x: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """The tokens (B, L, H), changed by those before them and by the features (B, P, H) that the mask shows."""
        L = x.shape[1]
        before = torch.ones(L, L, dtype=torch.bool, device=x.device).tril()
        h = self.norms[0](x)
        x = x + self.itself(h, h, before)
        x = x + self.across(self.norms[1](x), features, mask)
        return x + self.inner(self.norms[2](x))


class AttentionPool(nn.Module):
    """Learned queries attend to any number of positions: (B, P, H) -> (B, queries, H).

    Args:
        queries: Number of vectors that stand for the positions.
        width: Width of the positions.
        heads: Heads of the attention.

    Reference:
        Lee et al., "Set Transformer", ICML 2019; as in CoCa.
    """

    def __init__(self, *, queries: int, width: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.attention, self.norm = Attention(width=width, heads=heads), nn.LayerNorm(width)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """One vector per query, from the positions that the mask, (B, 1, P), shows."""
        return self.norm(self.attention(self.queries.expand(len(features), -1, -1), features, mask))


class Decoder(nn.Module):
    """Predicts each token of a text from those before it and from features.

    Token vectors serve as input and output. One more token, number `vocabulary`, begins and ends a text.

    Args:
        vocabulary: Number of tokens.
        width: Width of tokens and features.
        layers: Number of blocks.
        heads: Heads of each attention; divides `width`.
        length: Tokens predicted of a text, its end included; those after them are left out.

    Raises:
        UserError: A setting below 1, or heads that do not divide the width.

    Example:
        >>> decoder = Decoder(vocabulary=9, width=8, heads=2)
        >>> decoder(torch.tensor([[1, 2, -1], [3, 4, 5]]), torch.zeros(2, 7, 8)).shape
        torch.Size([2])
    """

    def __init__(self, *, vocabulary: int, width: int, layers: int = 2, heads: int = 4, length: int = 64) -> None:
        super().__init__()
        if min(width, layers, heads, length) < 1 or width % heads:
            raise UserError(
                f"decoder: width={width}, layers={layers}, heads={heads}, length={length}; expected 1 or more of each, "
                "and heads that divide the width."
            )
        self.edge, self.length = vocabulary, length
        self.tokens, self.places = nn.Embedding(vocabulary + 1, width), nn.Embedding(length, width)
        for table in (self.tokens, self.places):  # the output shares them: small ones begin at even odds
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList([DecoderBlock(width=width, heads=heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, texts: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each text, summed over its tokens and its end.

        Args:
            texts: (B, L) int64 tokens, -1 after the end.
            features: (B, P, H).
            mask: Which positions exist, (B, P) bool; None: all.

        Returns:
            (B,).
        """
        wanted = self.wanted(texts)
        h = self._hidden(F.pad(texts, (1, 0), value=self.edge)[:, : wanted.shape[1]], features, mask)
        at = wanted >= 0
        each = F.cross_entropy(self._logits(h[at]), wanted[at], reduction="none")
        return each.new_zeros(wanted.shape).index_put((at,), each).sum(1)

    def wanted(self, texts: Tensor) -> Tensor:
        """Tokens to predict, (B, L + 1) or shorter: those of the texts and their end, then -1."""
        after = (texts >= 0).sum(1, keepdim=True)
        return F.pad(texts, (0, 1), value=-1).scatter(1, after, self.edge)[:, : self.length]

    @torch.no_grad()
    def greedy(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Writes texts from features, the likeliest token after each: (B, L) int64, -1 after the end."""
        said = torch.full((len(features), 1), self.edge, device=features.device)
        ended = torch.zeros(len(features), dtype=torch.bool, device=features.device)
        while said.shape[1] <= self.length and not bool(ended.all()):
            token = self._logits(self._hidden(said, features, mask)[:, -1]).argmax(1)
            ended = ended | (token == self.edge)
            said = torch.cat([said, token.masked_fill(ended, -1)[:, None]], 1)
        return said[:, 1:]

    def _hidden(self, tokens: Tensor, features: Tensor, mask: Tensor | None) -> Tensor:
        x = self.tokens(tokens.clamp_min(0)) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, features, None if mask is None else mask[:, None])
        return self.norm(x)

    def _logits(self, h: Tensor) -> Tensor:
        return F.linear(h, self.tokens.weight)
