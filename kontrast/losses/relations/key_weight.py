"""Weight of a row, read from a key: for positives or for candidates."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.core import renamed
from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class KeyWeight(Relation):
    """Weight of a row, read from a key: for positives or for candidates.

    Take what="candidates" with a class prior for logit adjustment (log prior is added to the candidate's logit);
    what="positives" to weigh learned centres and samples differently (PaCo's alpha). of="anchor" with the key
    1 / (sum of positive weights) gives each part of `one + two` the same weight in every row.

    Args:
        key: Key of the weight, at least 0.
        what: Weights that the key multiplies: "positives" (default) or "candidates".
        of: Side whose key is read: "candidate" (default) or "anchor".

    Raises:
        UserError: `what` or `of` is unknown.

    Equation:
        P_ij = key_j, Q_ij = 1; or P_ij = 1, Q_ij = key_j for "candidates"; key_i instead of key_j for "anchor".

    Reference:
        Balanced softmax arXiv:2007.10740; logit adjustment arXiv:2007.07314; PaCo arXiv:2107.12028.

    Example:
        >>> anchors = {"prior": torch.tensor([[0.0]])}
        >>> candidates = {"prior": torch.tensor([0.5, 2.0])}
        >>> KeyWeight("prior", what="candidates").weights(anchors, candidates)[1].tolist()
        [0.5, 2.0]
    """

    key: str
    what: Literal["positives", "candidates"] = "positives"
    of: Literal["candidate", "anchor"] = "candidate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", renamed.value("relations", "key_weight", "what", self.what))
        input_checks.choice(self.what, "key_weight: what", ("positives", "candidates"))
        input_checks.choice(self.of, "key_weight: of", ("candidate", "anchor"))

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The key on the side it weighs, 1 on the other."""
        value = (a if self.of == "anchor" else c)[self.key]
        return (value, None) if self.what == "positives" else (torch.ones_like(value), value)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """No short list of positives; every row is a candidate unless candidates are weighed."""
        return None, nobody(a) if self.what == "positives" else None

    def reads(self) -> frozenset[str]:
        """Name of the key."""
        return frozenset({self.key})
