"""The contract of a contrastive loss, and the two sums most of them are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kontrast.losses.engine.tile_weights import Weights


class ContrastiveLoss(nn.Module, ABC):
    """How hard to pull and push: sees similarities and the two weights of a tile, never a rank, a device, a modality.

    `attract.dense()` gives a plain matrix to whoever wants one; `log_sum` and `mean` are faster.

    usual: settings of the training step that go with a loss where the user names none: its kernel, its temperature.

    softmax: that L_i is log_sum(S, among) - mean(S, attract) and nothing else, which can be had with fewer products. A
    class says so itself, and its children do not inherit it, for they may compute something else.

    precise: that similarities and weights are to be float64, because order or cancellation decides.
    """

    ROOM = "losses"

    softmax = False
    usual: ClassVar[Mapping[str, Any]] = {}
    precise = False

    def __init_subclass__(cls) -> None:
        cls.softmax = cls.__dict__.get("softmax", False)

    def learned(self) -> list[Tensor]:
        """Tensors besides the similarities that the loss hangs on and that may want a gradient."""
        return list(self.parameters())

    @abstractmethod
    def per_anchor(self, similarity: Tensor, attract: Weights, among: Weights) -> Tensor:
        """(l, n, M) -> (l, n): the loss of each anchor; what it gives an anchor that does not count is never used."""

    def counted(self, attract: Weights, among: Weights) -> Tensor:
        """(l, n): how much each anchor counts in the mean; 1 where someone attracts it, and at 0 it is dropped.

        For losses that need more than an attraction (a triplet needs a negative too), or less.
        """
        return attract.sum() > 0

    def chance(self, attract: Weights, among: Weights) -> Tensor | None:
        """(l, n): the loss of each anchor if all similarities are equal; None if it depends on what they equal."""
        return None

    def slope(self, similarity: Tensor, attract: Weights, among: Weights, weight: Tensor) -> tuple[Tensor, ...]:
        """The losses, d(weight . losses)/dS as a matrix and a factor (l, n) of its rows, and d/d each parameter.

        A loss may derive its own; the contract test holds it to this one. `similarity` may be overwritten.
        """
        with torch.enable_grad():
            each = self.per_anchor(similarity.requires_grad_(), attract, among)
            learned = [p for p in self.learned() if p.requires_grad]
            d_s, *rest = torch.autograd.grad(each, [similarity, *learned], weight, materialize_grads=True)
            found = {id(p): d for p, d in zip(learned, rest, strict=True)}
            d_learned = (found.get(id(p), torch.zeros_like(p)) for p in self.learned())
            return each.detach(), d_s, torch.ones_like(weight), *d_learned


class _LogSum(torch.autograd.Function):
    """log sum exp with one saved matrix; autograd's own keeps three."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, among: Weights) -> Tensor:
        e, top = among.exp_(s.clone())
        mass = e.sum(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).tiny)
        ctx.save_for_backward(e, mass)
        return (mass.log() + top).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        e, mass = ctx.saved_tensors
        return e * (grads[0][..., None] / mass), None


def log_sum(s: Tensor, weights: Weights) -> Tensor:
    """log sum_j W_ij e^S_ij, an anchor each; the maximum is subtracted first."""
    if weights.at is None or weights.rest:
        return _LogSum.apply(s, weights)  # pyright: ignore[reportReturnType]
    i, j = weights.at
    x = s[:, i, j] + weights.values.log()
    least = x.new_full(s.shape[:2], torch.finfo(x.dtype).min)
    top = least.scatter_reduce(-1, i.expand_as(x), x.detach(), "amax")
    mass = torch.zeros_like(least).index_add(-1, i, (x - top[:, i]).exp())
    return mass.clamp_min(torch.finfo(x.dtype).tiny).log() + top


def mean(s: Tensor, weights: Weights) -> Tensor:
    """sum_j W_ij S_ij / sum_j W_ij, an anchor each; 0 where all weights are."""
    return weights.dot(s) / weights.sum().clamp_min(1e-12)
