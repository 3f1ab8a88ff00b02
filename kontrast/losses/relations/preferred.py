"""Chosen answers against the other answers of the same prompt."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Pairs, Relation, equal


@dataclass(frozen=True)
class Preferred(Relation):
    """Chosen answers against the other answers of the same prompt.

    Take it with `InfoNCE` and the kernel `LogRatio` for several answers per prompt: Bradley-Terry, as in DPO, SimPO and
    CPL. For aligned pairs the preference losses are simpler. Anchors are prompts.

    Args:
        prompt: Key of the prompt.
        chosen: Candidates' key, 0 or 1, or a degree.

    Equation:
        Q_ij = [prompt_i = prompt_j], P_ij = Q_ij chosen_j

    Reference:
        DPO, arXiv:2305.18290.

    Example:
        >>> anchors = {"prompt": torch.tensor([[0]])}
        >>> candidates = {"prompt": torch.tensor([0, 0, 1]), "chosen": torch.tensor([1, 0, 1])}
        >>> Preferred().weights(anchors, candidates)[0].tolist()
        [[1, 0, 0]]
    """

    prompt: str = "prompt"
    chosen: str = "chosen"

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """Chosen answers of the prompt, and all its answers."""
        same = a[self.prompt] == c[self.prompt]
        return same * c[self.chosen], same

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Pairs of the same prompt; no short list of excluded candidates, since most rows are."""
        return equal(a[self.prompt], c[self.prompt]), None

    def reads(self) -> frozenset[str]:
        """Names of the prompt and of the choice."""
        return frozenset({self.prompt, self.chosen})
