"""Proxy-anchor: learned class centres are the anchors and weigh hard samples more."""

from collections.abc import Mapping

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.pairwise import proxy_anchor
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.supervised.centred import Centred, with_class


class ProxyAnchor(Centred):
    """Each class centre attracts samples of its class and repels others, hard ones most.

    Needs labels. Converges faster than losses between samples. The embedding that is compared with the centres is the
    one that is served.

    Args:
        encoders: Facts of the encoders.
        classes: Number of classes, from the data.
        margin: Margin in cosine: samples of the class should be above it, others below minus it; 0.1 as in the paper.
        scale: Sharpness of the softmaxes over the batch; 32 as in the paper.
        width: Width of the embeddings and centres.
        views: Views of each sample.

    Reference:
        Kim et al. 2020, arXiv:2003.13911.
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        classes: int,
        margin: float = 0.1,
        scale: float = 32.0,
        width: int = 128,
        views: int = 1,
    ) -> None:
        super().__init__(encoders, classes=classes, views=views, hidden=0, width=width)
        self.kernel, self.relation = Cosine(temperature=1.0), SameKey("label")
        self.pull = proxy_anchor.ProxyAnchor(side="pull", margin=margin, scale=scale)
        self.push = proxy_anchor.ProxyAnchor(side="push", margin=margin, scale=scale)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Attraction averaged over centres with a sample, and repulsion averaged over all centres."""
        everyone = ranks.gather({"": with_class(self.stacked(out))})[""]
        if not len(everyone):  # no row of any rank has a class
            none = LossTerm(self.centres().z.sum() * 0, everyone.z.new_zeros(()))
            return {"pull": none, "push": none}
        # Every rank holds all centres: each takes its share of them as anchors.
        mine = self.centres()[slice(ranks.rank, None, ranks.world)]
        return {
            name: contrast(mine, everyone, self.relation, loss=loss, kernel=self.kernel)
            for name, loss in (("pull", self.pull), ("push", self.push))
        }
