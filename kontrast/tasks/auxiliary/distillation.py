"""Distillation: embeddings of augmented views follow those of a frozen teacher."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.teacher import Teacher
from kontrast.tasks.one_field import OneField
from kontrast.tasks.taught import TeacherChoice, taught_key


class Distillation(OneField):
    """Learns to embed rows as a frozen teacher does.

    Take it to make a small encoder of a large one, alone or beside a contrast
    (`--task simclr --task distillation:teacher=runs/large,weight=0.5`). The teacher sees each row whole, in its own
    size, colours and vocabulary; its embeddings are computed once, before the first step, and the student sees
    augmented views. Rows that the teacher cannot read give no loss. The served embedding is the encoder's.

    Args:
        encoders: Facts of the encoder.
        target_facts: Kind of target -> its facts, of the data.
        teacher: A run folder, `timm:NAME`, `transformers:NAME` (or a folder); None: a column of the kind `teacher`.
            `{"name": "timm", "model": ..., "weights": FILE}` gives a kind of teacher its settings.
        how: "regression": cosine to the teacher's embedding, through a head of the teacher's width (SimReg).
            "similarity": the softmax of similarities to the other rows of the batch (SEED, CompRess); the teacher's
            width does not matter.
        temperature: Of both softmaxes of "similarity".
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of what "similarity" compares.
        views: Views of each sample.
        space: "encoder": the encoder's features are served. "teacher": the head's, which lie in the teacher's space,
            so that one searches in the other's; "regression" only.

    Raises:
        UserError: No teacher.

    Equation:
        regression: L = 2 - 2 cos(h(s), t). similarity: L = -sum_j p_j log softmax(cos(s, s_j) / temperature), p the
        softmax of cos(t, t_j) / temperature, j over the other rows.

    Reference:
        SimReg, Navaneet et al. 2021, arXiv:2201.05131; SEED, Fang et al. 2021, arXiv:2101.04731; CompRess, Koohpayegani
        et al. 2020, arXiv:2010.14713.

    Example:
        >>> facts = {"teacher": {"width": 16}}
        >>> Distillation(EncoderInfo({"image": 64}), target_facts=facts).head.width
        16
    """

    strength = "light"
    uses = frozenset({"teacher"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        target_facts: Mapping[str, Mapping[str, Any]],
        teacher: TeacherChoice = None,
        how: Literal["regression", "similarity"] = "regression",
        temperature: Annotated[float, Range(1e-4, 1e4)] = 0.1,
        hidden: int = 512,
        width: int = 128,
        views: int = 1,
        space: Literal["encoder", "teacher"] = "encoder",
    ) -> None:
        key = taught_key(encoders.fields[0], teacher)
        if key not in target_facts:
            raise UserError(
                "task 'distillation' has no teacher; name one (teacher=RUN, teacher=timm:NAME or "
                "teacher=transformers:NAME), or a column that holds its embeddings (--field COLUMN=teacher)."
            )
        if space == "teacher" and how != "regression":
            raise UserError(f"task 'distillation': space='teacher' needs how='regression'; found how='{how}'.")
        wanted = target_facts[key]["width"]
        super().__init__(
            encoders, views=views, hidden=hidden, width=wanted if how == "regression" else width, norm="layer"
        )
        self.key, self.how, self.space, self.needs = key, how, space, frozenset({key})
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        self.relation = Teacher(key, temperature)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """How far the rows of this rank that the teacher knows are from it."""
        rows = self.stacked(out)
        rows = rows[(rows.keys[self.key] != 0).any(1)]
        if self.how == "similarity":
            everyone = ranks.gather({"": rows})[""]
            return {"similarity": contrast(rows, everyone, self.relation, loss=self.loss, kernel=self.kernel)}
        wanted = F.normalize(rows.keys[self.key].to(rows.z.dtype), dim=1)
        loss = (F.normalize(rows.z, dim=1) - wanted).square().sum()
        chance = 2 * len(rows) - 2 * wanted.sum(0).norm()  # of the best constant, the mean direction
        return {"regression": LossTerm(loss, exact(loss.new_tensor(len(rows))), chance=chance)}

    def embed(self, field: str, features: Features) -> Tensor:
        """The encoder's features, or the point in the teacher's space."""
        return self.head(features.pooled) if self.space == "teacher" else features.pooled
