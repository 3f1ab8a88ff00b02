"""MoCo: each query picks its key among a queue of keys from earlier batches."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class MoCo(LossModule):
    """MoCo: each query picks its key among a queue of keys from earlier batches.

    For many negatives with small batches. Keys come from a momentum encoder (a slowly following copy of the encoder)
    and get no gradient. The queue starts with random directions; each call in training mode adds the keys of all
    processes, after the loss.

    Args:
        dim: Width of the embeddings.
        queue: Number of keys remembered; 4,096 by default, 65,536 in the paper; a few batches for small data.
        temperature: Above 0; 0.2 as in version 2 of the paper, 0.07 in version 1.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        reduction: "mean" over the queries (default), "sum", or "none" (one number per query).
        gather: Queue the keys, and average over the queries, of all processes if torch.distributed runs (default);
            False: this process alone.

    Shape:
        query and key (N, dim): row k of both is sample k. Compared by cosine.

    Raises:
        UserError: `dim` or `queue` below 1.

    Equation:
        L_i = log(e^(S_i) + sum_j e^(cos(q_i, queue_j) / temperature)) - S_i, S_i = cos(q_i, k_i) / temperature.

    Reference:
        He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297.

    Example:
        >>> loss = MoCo(dim=2, queue=4)
        >>> _ = loss(torch.eye(2), torch.eye(2))
        >>> loss.queue[:2]  # the keys of that call
        tensor([[1., 0.],
                [0., 1.]])
    """

    compared: ClassVar[int | None] = 2

    queue: Tensor
    place: Tensor

    def __init__(
        self,
        *,
        dim: int,
        queue: int = 4096,
        temperature: float = 0.2,
        learnable: bool = False,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        if dim < 1 or queue < 1:
            raise UserError(f"MoCo: dim={dim}, queue={queue}; expected both to be 1 or more.")
        self.temperature = Scale(temperature, learnable=learnable)
        self.register_buffer("queue", normalize(torch.randn(queue, dim), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        earlier = self.queue.clone()  # a copy: the update below must not change what backward reads
        loss = self.reduced(lambda: F.moco(query, key, earlier.to(query.dtype), temperature=self.temperature()))
        if self.training:
            self._enqueue(key)
        return loss

    @torch.no_grad()
    def _enqueue(self, key: Tensor) -> None:
        """Overwrites the oldest keys; of more keys than the queue holds, the last remain."""
        keys = Ranks(alone=not self.gather).gather({"": Embeddings(normalize(key.detach().float(), dim=1), {})})[""].z
        keys = keys[-len(self.queue) :].to(self.queue)
        at = (self.place + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue[at] = keys
        self.place.copy_((self.place + len(keys)) % len(self.queue))
