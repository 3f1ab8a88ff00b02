"""Balanced contrast: SupCon in which each class weighs the same among the candidates."""

from collections.abc import Mapping

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.layers.proxies import Proxies
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.class_counts import counts
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.balanced import Balanced
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.one_field import OneField


class BCL(OneField):
    """Balanced contrastive learning for long-tailed classes, with class averaging and class complement.

    Needs labels. Averaging: a candidate counts 1 / (rows of its class in the batch). Complement: a learned centre per
    class joins the candidates, so that no class is ever absent from a batch. The paper also trains a logit-adjusted
    classifier, whose weights serve as the centres; here the centres are separate parameters.

    Args:
        encoders: Facts of the encoders.
        classes: Number of classes, from the data.
        temperature: Temperature of the cosine.
        hidden: Width of the head's hidden layer.
        width: Width of the embeddings and centres.

    Reference:
        Zhu et al. 2022, arXiv:2207.09052.
    """

    needs = frozenset({"label"})

    def __init__(
        self, encoders: EncoderInfo, *, classes: int, temperature: float = 0.1, hidden: int = 512, width: int = 128
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width)
        self.centres = Proxies(classes=classes, width=width)
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        self.relation = SameKey("label") & Balanced("label", "count")

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views against all views and all centres."""
        stacked = self.stacked(out)
        ours = Embeddings(stacked.z, {name: stacked.keys[name] for name in ("id", "view", "label")})
        everyone = ranks.gather({"": ours})[""]
        candidates = Embeddings.stack(everyone, self.centres())
        candidates = Embeddings(candidates.z, {**candidates.keys, "count": counts(candidates.keys["label"])})
        return {"contrast": contrast(ours, candidates, self.relation, loss=self.loss, kernel=self.kernel)}
