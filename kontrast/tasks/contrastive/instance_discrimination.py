"""Instance discrimination: each training row is a class of its own, kept in a memory bank."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import LARGE, WHOLE, Range
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses.functional.by_sample import instance_terms
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.one_field import OneField


class InstanceDiscrimination(OneField):
    """Tells each training row from all others, by a memory of what was last made of each.

    Take it for data without labels if a step can afford only one view per row. The memory holds a running embedding
    per training row. Duplicates of a row are no negatives. The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field.
        samples: Number of training rows, from the data.
        temperature: Of the cosine; 0.07 as in the paper.
        keep: Share of its old value that each visit leaves in the memory, 0 to 0.999; 0.5 as in the paper.
        noise: Rows drawn per step for noise-contrastive estimation, shared by the batch; 4,096 in the paper. 0: all
            rows are candidates, which is exact.
        proximal: Weight of the squared distance to the memory, which damps jumps; 30 in the paper, 0 by default.
        hidden: Width of the head's hidden layer; 0 for a linear head, as in the paper.
        width: Width of the embeddings; 128 as in the paper.

    Equation:
        L_i = log sum_n e^(S_in) - S_ii, n the rows in memory, S the cosine over the temperature, S_ii that with i's own
        memory. With noise: see the loss `nce`.

    Reference:
        Wu et al. 2018, arXiv:1805.01978.
    """

    needs = frozenset({"sample"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        samples: int,
        temperature: float = 0.07,
        keep: Annotated[float, Range(0, 0.999)] = 0.5,
        noise: Annotated[int, Range(0, WHOLE)] = 0,
        proximal: Annotated[float, Range(0, LARGE)] = 0.0,
        hidden: int = 0,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=1, hidden=hidden, width=width)
        self.noise, self.proximal, self.step = noise, proximal, 0
        content = f"content {self.field}"
        self.memory = MemoryBank(samples=samples, width=width, keep=keep, keys=(content,))
        self.kernel, self.relation = Cosine(temperature=temperature), SameKey("id") & ExcludeDuplicates(content)

    def begin(self, clock: Clock) -> None:
        """Notes the step, which decides the noise that is drawn."""
        self.step = clock.step

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Each row against the memory of all rows, or of those drawn as noise."""
        ours = self._by_sample(out)
        noise = self._drawn().to(ours.z.device) if self.noise else None
        return instance_terms(ours, self.memory, self.relation, kernel=self.kernel, noise=noise, proximal=self.proximal)

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the memory of the rows of all ranks."""
        ours = self._by_sample(out)
        self.memory.update(ours.keys["id"], ours.z, ours.keys)

    def _by_sample(self, out: Mapping[str, Embeddings]) -> Embeddings:
        """The rows that have the field; their id is their place in the memory."""
        ours = self.stacked(out)
        return Embeddings(ours.z, {**ours.keys, "id": ours.keys["sample"]})

    def _drawn(self) -> Tensor:
        """Rows drawn as noise in this step, the same on all ranks and after a resume."""
        return torch.randint(len(self.memory), (self.noise,), generator=torch.Generator().manual_seed(self.step))
