"""InfoNCE, one direction: each query picks its key among the batch's keys and explicit negatives."""

from collections.abc import Sequence

from torch import Tensor

from kontrast.layers.scale import Scale
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class InfoNCE(LossModule):
    """InfoNCE, one direction: each query picks its key among the batch's keys and explicit negatives.

    The loss of retrieval: queries ask, documents answer (MultipleNegativesRankingLoss in sentence-transformers). For
    views of one sample take `NTXent`, for pairs of two modalities `CLIP`.

    Args:
        temperature: Above 0; 0.05, which is sentence-transformers' scale of 20.
        learnable: Learn the temperature, as CLIP does (parameter `temperature.log_scale`; 1 / temperature stays at most
            100).
        both: Also let each key pick its query, and average both directions.
        in_batch: Use the keys of other queries as negatives (default). False: explicit negatives only.
        false_negatives: Leave out negatives whose cosine exceeds that of the key by more than this margin; None
            (default): keep all.
        hardness: Factor of the cosine (without gradient) that is added to the logit of each negative; 0 by default.
        guide_margin: With a guide (GISTEmbed): a negative is left out if the guide's cosine for it exceeds that of the
            key less this margin; 0 by default.
        reduction: "mean" over the queries (default), "sum", or "none" (one number per query).
        gather: Compare with the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        query and key (N, D): row k of one belongs to row k of the other. negatives: (M, D), shared by all queries, or
        (N, K, D), K per query. guide: a second model's embeddings of query and key (and negatives), of any width.

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
        """Returns the loss: a scalar; with "none" (N,), per query."""
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
