"""Class centres that are learned: samples are compared with the centre of each class, not with one another."""

from collections.abc import Mapping

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.layers.towers import Towers
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.relations.same_key import SameKey
from kontrast.methods.centred import Centred, with_class
from kontrast.methods.parts import KernelChoice, LossChoice, contrast_loss, kernel_of


class Proxies(Centred):
    """ArcFace, CosFace, Proxy-NCA: metric learning against one learned centre per class.

    Needs labels. Unlike a contrast between samples it needs no two rows of a class in a batch. The embedding that is
    compared with the centres is what is served: for this it was learned.

    Args:
        towers: The encoders.
        classes: Number of classes, from the data.
        loss: Any loss that compares anchors with candidates: `arcface`, `cosface`, or `infonce`, which is a cosine
            classifier (NormFace, arXiv:1704.06369; Proxy-NCA++, arXiv:2004.01113).
        kernel: How similar an embedding and a centre are.
        temperature: Of the kernel.
        width: Width of the embeddings and centres.
        hidden: Width of a hidden layer of the head; 0 for a linear head.
        views: Views of each sample.
    """

    def __init__(
        self,
        towers: Towers,
        *,
        classes: int,
        loss: LossChoice = Choice("arcface"),
        kernel: KernelChoice = Choice("cosine"),
        temperature: float = 1.0,
        width: int = 128,
        hidden: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__(towers, classes=classes, views=views, hidden=hidden, width=width)
        self.kernel = kernel_of(kernel, temperature=temperature, width=width)
        self.loss = contrast_loss(loss, temperature=temperature)
        self.relation = SameKey("label")

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Samples with a label against all centres."""
        ours = with_class(Embeddings.stack(*rows.values()))
        return {"centres": contrast(ours, self.centres(), self.relation, loss=self.loss, kernel=self.kernel)}
