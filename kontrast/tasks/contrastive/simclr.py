"""SimCLR: augmented views of each sample attract, all other samples of the batch repel."""

from collections.abc import Mapping

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.tasks.one_field import OneField
from kontrast.tasks.parts import (
    SAMPLE,
    KernelChoice,
    LossChoice,
    RelationChoice,
    contrast_loss,
    kernel_of,
    known,
    relation_of,
    targets_of,
)


class SimCLR(OneField):
    """Contrast of the views of one field, all with all; by default NT-Xent.

    With other relations and losses it covers the supervised and metric-learning methods of one field: relation {"name":
    "same_key", "key": "label"} is SupCon, with the loss `triplet` FaceNet; the recipes list them. The head is used in
    training only; the encoder's output is evaluated and served. Duplicates of a sample are no negatives.

    Args:
        encoders: Facts of the encoders.
        temperature: Temperature of the kernel, and of a loss that asks for it.
        hidden: Width of the head's hidden layer.
        width: Width of the compared embeddings.
        loss: A loss that compares anchors with candidates.
        kernel: Similarity of two embeddings.
        relation: Positives and candidates; the keys that it reads (a label, a number) come from columns of the data.
        views: Views of each sample, 2 or more; 1 if the relation finds positives among other samples.
        norm: Weight of the mean squared length of the embeddings; above 0 for the kernel `dot`, where nothing else
            bounds it.
        clean: Whether the first view is the unaugmented row, as in SCARF.

    Reference:
        Chen et al. 2020, arXiv:2002.05709.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        temperature: float = 0.2,
        hidden: int = 512,
        width: int = 128,
        loss: LossChoice = Choice("infonce"),
        kernel: KernelChoice = Choice("cosine"),
        relation: RelationChoice = SAMPLE,
        views: int = 2,
        norm: float = 0.0,
        clean: bool = False,
    ) -> None:
        super().__init__(encoders, views=views, hidden=hidden, width=width)
        if norm < 0:
            raise UserError(f"task 'simclr': norm={norm}; expected 0 or more.")
        self.norm, self.clean = norm, clean
        self.kernel = kernel_of(kernel, temperature=temperature, width=width)
        self.loss = contrast_loss(loss, temperature=temperature)
        chosen = relation_of(relation)
        self.needs = targets_of(chosen)
        self.relation = chosen & ExcludeDuplicates(f"content {self.field}")

    def views(self) -> dict[str, ViewSpec]:
        """The field, once per view; the first as it is, if `clean`."""
        views = super().views()
        return {**views, next(iter(views)): ViewSpec(self.field, "original")} if self.clean else views

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views of this rank against all views of all ranks."""
        ours = known(self.stacked(out), self.needs)
        everyone = ranks.gather({"": ours})[""]
        terms = {"contrast": contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel)}
        if self.norm:
            squares = ours.z.square().sum()
            terms["norm"] = self.norm * LossTerm(squares, exact(squares.new_tensor(len(ours))))
        return terms
