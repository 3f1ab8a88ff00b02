"""Cross-batch memory: rows of earlier batches, with their labels, serve as further candidates."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.core import factory
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.adapters import fixed, gathered, reduce_terms, rows
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.kernel import Kernel
from kontrast.losses.loss_module import LossModule
from kontrast.losses.relation import Relation
from kontrast.losses.relations.same_key import SameKey


class CrossBatchMemory(LossModule):
    """Cross-batch memory: rows of earlier batches, with their labels, serve as further candidates.

    For small batches: embeddings change slowly after the first epochs, so those of recent batches still serve as hard
    positives and negatives. Each call in training mode adds the rows of all processes to the memory, after the loss.
    The memory starts empty and gets no gradient.

    Args:
        dim: Width of the embeddings.
        queue: Number of rows remembered; 1,024 by default, at most the size of the data.
        loss: The contrastive loss, or its name with its defaults ("pair_margin" as in the paper, "triplet", "infonce"
            ...).
        kernel: The similarity: a kernel, or its name; None (default): the cosine without a temperature.
        relation: Positives of each row, by the key `label`; also the place for a miner. None (default): rows of one
            label.
        reduction: "mean" over the anchors that the loss counts (default), "sum", or "none" (one number per anchor, 0
            for the others).
        gather: Compare with, and remember, the rows of all processes if torch.distributed runs (default); False: this
            process alone.

    Shape:
        z (N, dim) and labels (N,), integers.

    Equation:
        The equation of the chosen loss, with this batch and the memory as candidates.

    Reference:
        Wang et al. 2020, arXiv:1912.06798.

    Example:
        >>> loss = CrossBatchMemory(dim=4, queue=8)
        >>> z, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> first, second = loss(z, labels), loss(z, labels)
        >>> int(loss.filled), bool(second < first)  # in the memory each row has an equal of its own label
        (8, True)
    """

    compared: ClassVar[int | None] = 1

    z_of: Tensor
    label_of: Tensor
    filled: Tensor
    place: Tensor

    def __init__(
        self,
        *,
        dim: int,
        queue: int = 1024,
        loss: ContrastiveLoss | str = "pair_margin",
        kernel: Kernel | str | None = None,
        relation: Relation | None = None,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        if dim < 1 or queue < 1:
            raise UserError(f"CrossBatchMemory: dim={dim}, queue={queue}; expected both to be 1 or more.")
        self.loss: ContrastiveLoss = factory.build("losses", loss, {}) if isinstance(loss, str) else loss
        cosine = factory.build("kernels", "cosine", {"temperature": 1.0}) if kernel is None else kernel
        self.kernel: Kernel = factory.build("kernels", cosine, {}) if isinstance(cosine, str) else cosine
        self.relation = SameKey("label") if relation is None else relation
        self.register_buffer("z_of", torch.zeros(queue, dim))
        self.register_buffer("label_of", torch.full((queue,), -1))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        n = int(self.filled)
        earlier, theirs = self.z_of[:n].to(z.dtype).clone(), self.label_of[:n].clone()

        def compared() -> Tensor:
            ours = rows(z, {"label": labels})
            everyone = Embeddings.stack(gathered(ours), fixed(earlier, {"label": theirs}))
            return reduce_terms(loss=contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel))

        found = self.reduced(compared)
        if self.training:
            self._remember(z, labels)
        return found

    @torch.no_grad()
    def _remember(self, z: Tensor, labels: Tensor) -> None:
        """Overwrites the oldest rows."""
        seen = Ranks(alone=not self.gather).gather({"": Embeddings(z.detach(), {"label": labels})})[""][
            -len(self.z_of) :
        ]
        at = (self.place + torch.arange(len(seen), device=z.device)) % len(self.z_of)
        self.z_of[at], self.label_of[at] = seen.z.to(self.z_of), seen.keys["label"].to(self.label_of)
        self.place.copy_((self.place + len(seen)) % len(self.z_of))
        self.filled.copy_((self.filled + len(seen)).clamp_max(len(self.z_of)))
