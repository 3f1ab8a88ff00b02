"""Any loss with any kernel and any relation: what the other losses are made of, put together by hand."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kontrast.core import factory
from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.adapters import rows, settle
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.kernel import Kernel
from kontrast.losses.loss_module import LossModule
from kontrast.losses.relation import Relation
from kontrast.losses.relations.same_key import SameKey


class Contrastive(LossModule):
    """Any loss with any kernel and any relation: what the other losses are made of, put together by hand.

    `kontrast list losses`, `list kernels` and `list relations` show what there is; a class of one's own goes too.

    Args:
        loss: How hard: a loss, or its name ("infonce", "triplet", "circle" ...) with its defaults.
        kernel: How similar: a kernel, or its name.
        relation: Positives and candidates of each row; None for rows with an equal `id`.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        embeddings: `kt.Embeddings` with the keys that the relation reads; or a tensor (N, D) and its keys. candidates:
        others to compare with; None for the embeddings themselves.

    Equation:
        The loss's, over S_ij = kernel(i, j).

    Reference:
        The concepts "relations", "kernels" and "losses" of the documentation.

    Example:
        >>> from kontrast.losses.relations.same_key import SameKey
        >>> loss = Contrastive(loss="infonce", kernel="cosine", relation=SameKey("label"))
        >>> value = loss(torch.eye(4), {"label": torch.tensor([0, 0, 1, 1])})
        >>> round(value.item(), 4)  # log 3, at right angles
        1.0986
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        loss: ContrastiveLoss | str = "infonce",
        kernel: Kernel | str = "cosine",
        relation: Relation | None = None,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.loss: ContrastiveLoss = factory.build("losses", loss, {}) if isinstance(loss, str) else loss
        self.kernel: Kernel = factory.build("kernels", kernel, {}) if isinstance(kernel, str) else kernel
        self.relation = SameKey("id") if relation is None else relation

    def forward(
        self,
        embeddings: Embeddings | Tensor,
        keys: Mapping[str, Tensor] | None = None,
        candidates: Embeddings | None = None,
    ) -> Tensor:
        """Rows, or a tensor (N, D) with keys -> a scalar; "none": (N,)."""

        def compared() -> Tensor:
            ours = embeddings if isinstance(embeddings, Embeddings) else rows(embeddings, keys)
            everyone = Ranks().gather({"": ours if candidates is None else candidates})[""]
            return settle(loss=contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel))

        return self.reduced(compared)
