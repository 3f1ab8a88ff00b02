"""Any contrastive loss with any kernel and any relation, combined by hand."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kontrast.core import factory
from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.adapters import reduce_terms, rows
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.kernel import Kernel
from kontrast.losses.loss_module import LossModule
from kontrast.losses.relation import Relation
from kontrast.losses.relations.same_key import SameKey


class Contrastive(LossModule):
    """Any contrastive loss with any kernel and any relation, combined by hand.

    Most losses of `kt.losses` are such combinations. `kontrast list losses`, `list kernels` and `list relations` show
    the parts; instances of your own classes work too.

    Args:
        loss: The contrastive loss, or its name with its defaults ("infonce", "triplet", "circle" ...).
        kernel: The similarity: a kernel, or its name with its defaults.
        relation: Positives and candidates of each row; None (default): rows with an equal `id` are positives.
        reduction: "mean" over the anchors that the loss counts (default), "sum", or "none" (one number per anchor, 0
            for the others).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        embeddings: `kt.Embeddings` with the keys that the relation reads, or a tensor (N, D) with `keys`. candidates:
            the `kt.Embeddings` to compare with; None (default) for the embeddings themselves.

    Equation:
        The equation of the chosen loss, with S_ij = kernel(i, j).

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
        """Returns the loss: a scalar; with "none" (N,)."""

        def compared() -> Tensor:
            ours = embeddings if isinstance(embeddings, Embeddings) else rows(embeddings, keys)
            everyone = Ranks().gather({"": ours if candidates is None else candidates})[""]
            return reduce_terms(loss=contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel))

        return self.reduced(compared)
