"""ArcFace, CosFace and Proxy-NCA: samples are compared with learned class centres."""

from collections.abc import Mapping

from kontrast.core.choice import Choice
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.parts import KernelChoice, LossChoice, contrast_loss, kernel_of
from kontrast.tasks.supervised.centred import Centred, with_class


class Proxies(Centred):
    """Metric learning against one learned centre per class: ArcFace, CosFace, Proxy-NCA.

    Needs labels. Unlike a contrast between samples, it needs no two rows of a class in a batch. The embedding that is
    compared with the centres is the one that is served.

    Args:
        encoders: Facts of the encoders.
        classes: Number of classes, from the data.
        loss: A loss that compares anchors with candidates: `arcface` (default), `cosface`, or `infonce`, which is a
            cosine classifier (NormFace, arXiv:1704.06369; Proxy-NCA++, arXiv:2004.01113).
        kernel: Similarity of an embedding and a centre.
        temperature: Temperature of the kernel.
        width: Width of the embeddings and centres.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        views: Views of each sample.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        classes: int,
        loss: LossChoice = Choice("arcface"),
        kernel: KernelChoice = Choice("cosine"),
        temperature: float = 1.0,
        width: int = 128,
        hidden: int = 0,
        views: int = 1,
    ) -> None:
        super().__init__(encoders, classes=classes, views=views, hidden=hidden, width=width)
        self.kernel = kernel_of(kernel, temperature=temperature, width=width)
        self.loss = contrast_loss(loss, temperature=temperature)
        self.relation = SameKey("label")

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Samples with a label against all centres."""
        ours = with_class(self.stacked(out))
        return {"centres": contrast(ours, self.centres(), self.relation, loss=self.loss, kernel=self.kernel)}
