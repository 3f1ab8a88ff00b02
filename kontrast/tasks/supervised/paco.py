"""PaCo: learned class centres join the candidates and attract more than samples do."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.normalize import unit
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.layers.proxies import Proxies
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.one_field import OneField


class PaCo(OneField):
    """Parametric contrast for long-tailed classes: contrast and a logit-adjusted classifier in one softmax.

    Needs labels. A sample is attracted by its class's centre with weight 1 and by each other sample of its class with
    `alpha`; centres count among the candidates by the frequency of their class, so that rare classes are not
    outweighed. The paper compares with a momentum queue, this method with the batch of all ranks.

    Args:
        encoders: Facts of the encoders.
        classes: Number of classes, from the data.
        class_counts: Training rows of each class, from the data.
        alpha: Weight of a sample as a positive (a centre weighs 1); 0.05 as in the paper.
        temperature: Temperature of the cosine between samples; 0.2 as in the paper.
        centre_temperature: Temperature of the product with a centre.
        hidden: Width of the head's hidden layer.
        width: Width of the embeddings and centres.

    Reference:
        Cui et al. 2021, arXiv:2107.12028.
    """

    needs = frozenset({"label"})
    prior: Tensor

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        classes: int,
        class_counts: Sequence[int],
        alpha: float = 0.05,
        temperature: float = 0.2,
        centre_temperature: float = 1.0,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width)
        if alpha <= 0 or temperature <= 0 or centre_temperature <= 0:
            raise UserError(
                f"task 'paco': alpha={alpha}, temperature={temperature}, centre_temperature={centre_temperature}; "
                "expected numbers above 0."
            )
        self.alpha, self.temperature, self.centre_temperature = alpha, temperature, centre_temperature
        self.centres = Proxies(classes=classes, width=width)
        counts = torch.as_tensor(list(class_counts), dtype=torch.float32)
        self.register_buffer("prior", counts / counts.sum().clamp_min(1))
        self.loss, self.kernel = InfoNCE(), Dot()
        self.relation = SameKey("label") & KeyWeight("pull") & KeyWeight("count", what="candidates")

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views against all views and all centres."""
        stacked = self.stacked(out)
        ours = Embeddings(unit(stacked.z), {name: stacked.keys[name] for name in ("id", "view", "label")})
        everyone = ranks.gather({"": ours})[""]
        one = torch.ones_like(everyone.z[:, 0])
        samples = Embeddings(everyone.z / self.temperature, {**everyone.keys, "pull": self.alpha * one, "count": one})
        centres = self.centres()
        full = torch.ones_like(centres.z[:, 0])
        parts = Embeddings(centres.z / self.centre_temperature, {**centres.keys, "pull": full, "count": self.prior})
        mean = contrast(ours, Embeddings.stack(samples, parts), self.relation, loss=self.loss, kernel=self.kernel)
        return {"contrast": mean}
