"""GenSCL: rows attract as their labels are alike: mixed labels, soft labels, and those of a teacher."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch.nn.functional as F
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.soft import Soft
from kontrast.tasks.one_field import OneField
from kontrast.tasks.taught import TeacherChoice, taught_key

SOFT, TAUGHT = "soft", "taught"  # keys of the rows that are compared


class GenSCL(OneField):
    """Generalised supervised contrast: positives weigh by the cosine of their labels, and of a teacher's.

    Take it for images with labels, with `mixing=mixup_cutmix`, and with a teacher if there is a good one. Without
    mixing and teacher it is SupCon. Labels are a column of classes, or of distributions over classes (kind `soft`).
    The teacher's class probabilities are computed once for each row as it is; a mixed row gets the mean of both rows'
    by their shares, where the authors show the mixed view to the teacher. The encoder's output is served.

    Args:
        encoders: Facts of the encoder.
        target_facts: Kind of target -> its facts, of the data.
        teacher: A run folder, `timm:NAME` or `transformers:NAME`, whose classes are those of a linear probe on its
            embeddings, fitted on the labelled training rows; None: labels alone.
            `{"name": "timm", "model": ..., "classifier": true}` takes the classes of timm's own classifier.
        alpha: Weight of the teacher's term; 1 as in the paper.
        softening: Temperature of the teacher's probabilities, p^(1 / softening) up to their sum; 1 as in the paper.
        temperature: Temperature of the cosine; 0.1 as in the paper.
        hidden: Width of the head's hidden layer.
        width: Width of the compared embeddings.
        views: Views of each sample.

    Equation:
        L = CE(y) + alpha CE(t), CE(y)_i = lse_{k != i} S_ik - sum_j G_ij S_ij / sum_j G_ij, G_ij = cos(y_i, y_j)

    Reference:
        Kim et al. 2022, arXiv:2206.00384.

    Example:
        >>> facts = {"label": {"classes": 3}}
        >>> sorted(GenSCL(EncoderInfo({"image": 64}), target_facts=facts).needs)
        ['label']
    """

    strength = "light"
    uses = frozenset({"teacher classes"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        target_facts: Mapping[str, Mapping[str, Any]],
        teacher: TeacherChoice = None,
        alpha: Annotated[float, Range(1e-6, 1e6)] = 1.0,
        softening: Annotated[float, Range(1e-2, 1e3)] = 1.0,
        temperature: float = 0.1,
        hidden: int = 512,
        width: int = 128,
        views: int = 2,
    ) -> None:
        super().__init__(encoders, views=views, hidden=hidden, width=width)
        self.key = None if teacher is None else taught_key(self.field, teacher, "teacher classes")
        self.alpha, self.softening = alpha, softening
        labels = SOFT if SOFT in target_facts else "label"
        self.classes = target_facts.get(labels, {}).get("classes", 1)
        self.needs = frozenset({labels} | ({self.key} if self.key else set()))
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        others = ExcludeDuplicates(f"content {self.field}")
        self.by_labels, self.by_teacher = Soft(SOFT) & others, Soft(TAUGHT) & others

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """All views of this rank against all views of all ranks, by labels and by the teacher."""
        rows = self.stacked(out)
        keys = {**rows.keys, SOFT: self._labels(rows.keys)}
        if self.key:
            keys[TAUGHT] = _softened(keys.pop(self.key), self.softening)
        ours = Embeddings(rows.z, keys)
        everyone = ranks.gather({"": ours})[""]
        terms = {"labels": contrast(ours, everyone, self.by_labels, loss=self.loss, kernel=self.kernel)}
        if self.key:
            taught = contrast(ours, everyone, self.by_teacher, loss=self.loss, kernel=self.kernel)
            terms["teacher"] = self.alpha * taught
        return terms

    def _labels(self, keys: Mapping[str, Tensor]) -> Tensor:
        """Share of each class, (B, C); zeros if unknown."""
        if SOFT in keys:
            return keys[SOFT]
        label = keys["label"]
        return F.one_hot(label.clamp_min(0), self.classes).float() * (label >= 0)[:, None]


def _softened(p: Tensor, temperature: float) -> Tensor:
    """softmax(log p / temperature); zeros stay zeros."""
    powered = p.clamp_min(0) ** (1 / temperature)
    return powered / powered.sum(1, keepdim=True).clamp_min(1e-12)
