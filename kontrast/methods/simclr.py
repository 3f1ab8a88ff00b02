"""SimCLR: two augmented views of a field of each sample attract, all other samples of the batch repel."""

from collections.abc import Mapping

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.layers.towers import Towers
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.methods.one_field import OneField
from kontrast.methods.parts import (
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
    """Views of one field, all compared with all (Chen et al. 2020, arXiv:2002.05709); by default NT-Xent.

    With another relation and loss it is the supervised and metric-learning methods of one field: `{"name": "same_key",
    "key": "label"}` is SupCon, with the loss `triplet` FaceNet, and so on; the recipes name them. The projection head
    is for training only: what is judged and served is the encoder's output. Duplicates of a sample are no negatives.

    Args:
        towers: The encoders.
        temperature: Of the kernel, and of a loss that asks for it.
        hidden: Width of the head's hidden layer.
        width: Width of the embeddings that are compared.
        loss: Any loss that compares anchors with candidates.
        kernel: How similar two embeddings are.
        relation: Which rows are positives and which are candidates; the keys it reads (a label, a number) come from
            columns of the data.
        views: Views of each sample, 2 or more; 1 if the relation finds positives among other samples.
        norm: Weight of the mean squared length of the embeddings; above 0 for the kernel `dot`, where nothing else
            bounds it.
    """

    def __init__(
        self,
        towers: Towers,
        *,
        temperature: float = 0.2,
        hidden: int = 512,
        width: int = 128,
        loss: LossChoice = Choice("infonce"),
        kernel: KernelChoice = Choice("cosine"),
        relation: RelationChoice = SAMPLE,
        views: int = 2,
        norm: float = 0.0,
    ) -> None:
        super().__init__(towers, views=views, hidden=hidden, width=width)
        if norm < 0:
            raise UserError(f"method 'simclr': norm={norm}; expected 0 or more.")
        self.norm = norm
        self.kernel = kernel_of(kernel, temperature=temperature, width=width)
        self.loss = contrast_loss(loss, temperature=temperature)
        chosen = relation_of(relation)
        self.needs = targets_of(chosen)
        self.relation = chosen & ExcludeDuplicates(f"content {self.field}")

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views of this rank against all views of all ranks."""
        ours = known(Embeddings.stack(*rows.values()), self.needs)
        everyone = ranks.gather({"": ours})[""]
        terms = {"contrast": contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel)}
        if self.norm:
            squares = ours.z.square().sum()
            terms["norm"] = self.norm * LossTerm(squares, exact(squares.new_tensor(len(ours))))
        return terms
