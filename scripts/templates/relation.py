"""States in one line which rows are positives of each other."""

from dataclasses import dataclass

from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.relation import Relation, known


@dataclass(frozen=True)
class Template(Relation):
    """Rows with an equal key are positives of each other; all rows are candidates.

    Say here when to take it, and which relation to take instead otherwise.

    Args:
        key: Name of the key that is compared; -1 is unknown and equal to nothing.

    Equation:
        P_ij = 1 if key_i = key_j, else 0; Q_ij = 1.

    Reference:
        Author et al. YEAR, arXiv:NUMBER.

    Example:
        >>> import torch
        >>> key = torch.tensor([0, 1, -1])
        >>> positives, candidates = Template("group").weights({"group": key[:, None]}, {"group": key[None]})
        >>> positives.int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    """

    key: str = "label"

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The weights of positives and of candidates (None: all 1), elementwise from the keys of both rows."""
        return known(a[self.key]) == c[self.key], None

    def reads(self) -> frozenset[str]:
        """Names of the keys that `weights` looks at."""
        return frozenset({self.key})
