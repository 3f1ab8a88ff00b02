"""KCL and TSC: supervised contrast with equally many positives for rare and frequent classes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.layers.targets import assign, uniform_points
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.adapters import fixed
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.positives import chosen, pull
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relation import Relation
from kontrast.losses.relations.different_group import DifferentGroup
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.one_field import OneField


class KCL(OneField):
    """K-positive contrast for long-tailed classes; with `strength` above 0, targeted contrast (TSC).

    Needs labels. Positives are the sample's other views and k others of its class, drawn at random in each step. TSC
    adds a point per class, spread evenly over the sphere, that attracts the rows of the class; the assignment of points
    to classes is renewed every `every` steps from running means of the embeddings.

    Args:
        encoders: Facts of the encoders.
        classes: Number of classes, from the data.
        k: Positives from the class per anchor; 6 as in the paper.
        temperature: Temperature of the cosine.
        strength: Weight of the attraction to the class's point; 0 for KCL.
        every: Steps between two assignments of points to classes.
        hidden: Width of the head's hidden layer.
        width: Width of the embeddings.

    Reference:
        KCL: Kang et al. 2021, "Exploring balanced feature spaces for representation learning", ICLR; TSC: Li et al.
            2022, arXiv:2111.13998.
    """

    needs = frozenset({"label"})
    means: Tensor
    points: Tensor
    of_class: Tensor
    steps: Tensor

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        classes: int,
        k: int = 6,
        temperature: float = 0.1,
        strength: float = 0.0,
        every: int = 50,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width)
        if k < 1 or strength < 0 or every < 1:
            raise UserError(
                f"task 'kcl': k={k}, strength={strength}, every={every}; expected k and every of at least 1, "
                "strength of at least 0."
            )
        self.k, self.target_pull, self.every = k, strength, every
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        number = classes if strength else 0
        self.register_buffer("points", uniform_points(number, width) if number else torch.zeros(0, width))
        self.register_buffer("means", torch.zeros(number, width))
        self.register_buffer("of_class", torch.arange(number))

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views against all views, and for TSC against the points of all classes."""
        ours = self.stacked(out)
        everyone = ranks.gather({"": ours})[""]
        kept = chosen(ours, everyone, SameKey("label") & DifferentGroup("id"), k=self.k, seed=int(self.steps))
        ours = Embeddings(ours.z, {**ours.keys, "kept": kept})
        relation = SameKey("id") | (SameKey("label") & Neighbours("kept", of="row"))
        if not self.target_pull:
            return {"contrast": contrast(ours, everyone, relation, loss=self.loss, kernel=self.kernel)}
        ours, candidates, relation = self._targeted(ours, everyone, relation)
        mean = contrast(ours, candidates, relation, loss=self.loss, kernel=self.kernel)
        return {"contrast": (1 + self.target_pull) * mean}

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Counts the step, updates the class means, and every `every` steps reassigns the points."""
        self.steps += 1
        if not self.target_pull:
            return
        seen = self.stacked(out)
        known = seen.keys["label"] >= 0
        z, label = F.normalize(seen.z[known].float(), dim=1), seen.keys["label"][known]
        sums = torch.zeros_like(self.means).index_add_(0, label, z)
        self.means.lerp_(F.normalize(ranks.sum(sums), dim=1), 0.1)
        if int(self.steps) % self.every == 0:
            self.of_class.copy_(assign(self.means, self.points))

    def _targeted(
        self, ours: Embeddings, everyone: Embeddings, relation: Relation
    ) -> tuple[Embeddings, Embeddings, Relation]:
        """Adds the points to the candidates; the own one weighs `strength` times all positives."""
        classes = torch.arange(len(self.points), device=ours.z.device)
        names = {"label": classes, "target": torch.ones_like(classes)}
        targets = fixed(self.points[self.of_class].to(everyone.z.dtype), names)
        keys = {"id": everyone.keys["id"], "view": everyone.keys["view"], "label": everyone.keys["label"]}
        samples = Embeddings(everyone.z, {**keys, "target": torch.zeros_like(keys["id"])})
        share = 1 / pull(ours, everyone, relation).clamp_min(1e-12)
        ours = Embeddings(ours.z, {**ours.keys, "share": share})
        relation = relation & KeyWeight("share", of="anchor")
        return (
            ours,
            Embeddings.stack(samples, targets),
            relation + self.target_pull * (SameKey("label") & KeyWeight("target")),
        )
