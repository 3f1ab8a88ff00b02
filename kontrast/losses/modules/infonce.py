"""InfoNCE one way: each query picks its key, among all keys of the batch and explicit negatives."""

from collections.abc import Sequence

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class InfoNCE(LossModule):
    """InfoNCE one way: each query picks its key, among all keys of the batch and explicit negatives.

    The loss of retrieval (sentence-transformers' MultipleNegativesRankingLoss; info-nce-pytorch): queries ask,
    documents answer. Pairs of equals take `NTXent`, pairs of two kinds `CLIP`.

    Args:
        temperature: Above 0. 0.05 is the scale of 20 of sentence-transformers.
        learnable: Learn it (a parameter `temperature.log_scale`, at most 100).
        both: Also let each key pick its query, and take the mean of both.
        in_batch: Whether the keys of other queries are negatives. False takes explicit negatives.
        false_negatives: A margin: negatives whose cosine is larger than the key's by more than it are left out.
        hardness: Adds this times its cosine, without gradient, to the logit of each negative.
        guide_margin: With a guide (GISTEmbed): how much less alike it may find a negative that is left out.
        reduction: "mean" over the anchors that count, "sum" of them, or "none" (one number per anchor).
        gather: Compare with the rows of all processes, where torch.distributed runs.

    Shape:
        query and key (N, D), row k of one belongs to row k of the other. negatives: (M, D) for all queries, or (N, K,
        D), K of each query. guide: a second model's embeddings of query and key (and negatives), of any width.

    Equation:
        L_i = log sum_k e^(S_ik) - S_ii, S the cosine over the temperature, k the keys and negatives.

    Reference:
        van den Oord et al. 2018, arXiv:1807.03748; Henderson et al. 2017, arXiv:1705.00652; guide: Solatorio 2024,
        arXiv:2402.16829.

    Example:
        >>> query, key, negatives = torch.eye(2), torch.eye(2), torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]])
        >>> round(InfoNCE(temperature=1.0)(query, key, negatives).item(), 4)  # log(e + 1 + 1) - 1
        0.5514
    """

    def __init__(
        self,
        *,
        temperature: float = 0.05,
        learnable: bool = False,
        both: bool = False,
        in_batch: bool = True,
        false_negatives: float | None = None,
        hardness: float = 0.0,
        guide_margin: float = 0.0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature = Scale(temperature, learnable=learnable)
        self.both, self.in_batch = both, in_batch
        self.false_negatives, self.hardness, self.guide_margin = false_negatives, hardness, guide_margin

    def forward(
        self, query: Tensor, key: Tensor, negatives: Tensor | None = None, guide: Sequence[Tensor] | None = None
    ) -> Tensor:
        """(N, D) twice, and negatives if there are -> a scalar; "none": (N,), one number per query."""
        return self.reduced(
            lambda: F.infonce(
                query,
                key,
                negatives,
                temperature=self.temperature(),
                both=self.both,
                in_batch=self.in_batch,
                false_negatives=self.false_negatives,
                hardness=self.hardness,
                guide=guide,
                guide_margin=self.guide_margin,
            )
        )
