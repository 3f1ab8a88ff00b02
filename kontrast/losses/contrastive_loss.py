"""Contract of contrastive losses, and the two sums that most of them use."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kontrast.losses.tile_weights import Weights


class ContrastiveLoss(nn.Module, ABC):
    """Loss of each anchor from its similarities and two weights, tile by tile.

    A loss sees no process, device or modality. Subclasses implement `per_anchor`; `log_sum` and `mean` are fast
    building blocks, `positives.dense()` gives a plain matrix.

    Attributes:
        usual: Settings of the training step that suit the loss where the user names none: its kernel, its temperature.
        softmax: Whether L_i is log_sum(S, candidates) - mean(S, positives) and nothing else, which needs fewer
            products. Not inherited, since a subclass may compute something else.
        precise: Whether similarities and weights must be float64, because order or cancellation decides.

    Example:
        >>> from kontrast.losses import Contrastive
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> class NearestPositive(ContrastiveLoss):
        ...     def per_anchor(self, similarity, positives, candidates):
        ...         return -similarity.masked_fill(positives.dense() == 0, -torch.inf).amax(-1)
        >>> loss = Contrastive(loss=NearestPositive(), kernel="dot", relation=SameKey("label"))
        >>> loss(torch.eye(2)[[0, 0, 1]], {"label": torch.tensor([0, 0, 1])})
        tensor(-1.)
    """

    ROOM = "losses"

    softmax = False
    usual: ClassVar[Mapping[str, Any]] = {}
    precise = False

    def __init_subclass__(cls) -> None:
        cls.softmax = cls.__dict__.get("softmax", False)

    def learned(self) -> list[Tensor]:
        """Tensors besides the similarities that the loss depends on and that may need a gradient."""
        return list(self.parameters())

    @abstractmethod
    def per_anchor(self, similarity: Tensor, positives: Weights, candidates: Weights) -> Tensor:
        """Loss of each anchor.

        Args:
            similarity: S (l, n, M): l problems, n anchors, M candidates.
            positives: P (l, n, M), the weights of positives.
            candidates: Q (l, n, M), the weights of candidates.

        Returns:
            (l, n); values of anchors that do not count are ignored.
        """

    def counted(self, positives: Weights, candidates: Weights) -> Tensor:
        """Weight of each anchor in the mean, shape (l, n).

        By default 1 with a positive, else 0. Override it for losses that need more than a positive (a triplet needs a
        negative too), or less. Anchors with 0 are dropped.
        """
        return positives.sum() > 0

    def chance(self, positives: Weights, candidates: Weights) -> Tensor | None:
        """Loss (l, n) of each anchor if all similarities are equal; None if it depends on their value."""
        return None

    def slope(self, similarity: Tensor, positives: Weights, candidates: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """Losses and their gradients, by autograd; a loss may derive its own.

        The contract test compares an override with this implementation.

        Args:
            similarity: (l, n, M); may be overwritten.
            positives: (l, n, M), the weights of positives.
            candidates: (l, n, M), the weights of candidates.
            weight: (l, n), of each anchor's loss.

        Returns:
            The losses (l, n), d(weight . losses)/dS as a matrix (l, n, M) and a factor (l, n) of its rows, and the
            gradient of each tensor of `learned`.
        """
        with torch.enable_grad():
            each = self.per_anchor(similarity.requires_grad_(), positives, candidates)
            learned = [p for p in self.learned() if p.requires_grad]
            d_s, *rest = torch.autograd.grad(each, [similarity, *learned], weight, materialize_grads=True)
            found = {id(p): d for p, d in zip(learned, rest, strict=True)}
            d_learned = (found.get(id(p), torch.zeros_like(p)) for p in self.learned())
            return each.detach(), d_s, torch.ones_like(weight), *d_learned


class _LogSum(torch.autograd.Function):
    """Log-sum-exp with one saved matrix; autograd's own keeps three."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, candidates: Weights) -> Tensor:
        e, top = candidates.exp_(s.clone())
        mass = e.sum(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).tiny)
        ctx.save_for_backward(e, mass)
        return (mass.log() + top).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        e, mass = ctx.saved_tensors
        return e * (grads[0][..., None] / mass), None


def log_sum(s: Tensor, weights: Weights) -> Tensor:
    """Weighted log-sum-exp of each anchor, stable.

    Args:
        s: (l, n, M).
        weights: W (l, n, M).

    Returns:
        log sum_j W_ij e^S_ij, shape (l, n).
    """
    if weights.at is None or weights.rest:
        return _LogSum.apply(s, weights)  # pyright: ignore[reportReturnType]
    i, j = weights.at
    x = s[:, i, j] + weights.values.log()
    least = x.new_full(s.shape[:2], torch.finfo(x.dtype).min)
    top = least.scatter_reduce(-1, i.expand_as(x), x.detach(), "amax")
    mass = torch.zeros_like(least).index_add(-1, i, (x - top[:, i]).exp())
    return mass.clamp_min(torch.finfo(x.dtype).tiny).log() + top


def mean(s: Tensor, weights: Weights) -> Tensor:
    """Weighted mean of each anchor; 0 where all weights are 0.

    Args:
        s: (l, n, M).
        weights: W (l, n, M).

    Returns:
        sum_j W_ij S_ij / sum_j W_ij, shape (l, n).
    """
    return weights.dot(s) / weights.sum().clamp_min(1e-12)
