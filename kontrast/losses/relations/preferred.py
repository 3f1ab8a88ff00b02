"""Chosen over rejected: within one prompt the chosen rows attract, and only that prompt's rows are compared."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal


@dataclass(frozen=True)
class Preferred(Relation):
    """Candidates of the anchor's `prompt` count; those with `chosen` (0 or 1, or a degree) attract by it.

    With the loss `Infonce` it is Bradley-Terry, -log e^s+ / (e^s+ + e^s-), as DPO, SimPO and CPL have it; the kernel
    `LogRatio` gives their s. Anchors are the prompts; their own `chosen` is never read.
    """

    prompt: str = "prompt"
    chosen: str = "chosen"

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """(chosen of the prompt, of the prompt)."""
        same = a[self.prompt] == c[self.prompt]
        return same * c[self.chosen], same

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """A prompt's rows are listed; who does not count are most, so they are not."""
        return equal(a[self.prompt], c[self.prompt]), None

    def reads(self) -> frozenset[str]:
        """The prompt, and what was chosen."""
        return frozenset({self.prompt, self.chosen})
