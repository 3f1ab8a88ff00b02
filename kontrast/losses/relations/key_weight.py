"""A key that holds a weight of its row: how much it attracts, is attracted, or counts."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kontrast.core.embeddings import Keys
from kontrast.losses.engine import input_checks
from kontrast.losses.relation import Pairs, Relation, nobody


@dataclass(frozen=True)
class KeyWeight(Relation):
    """Multiplies what attracts, or who counts, by the key (at least 0) of the candidate or of the anchor.

    what="among" with a class prior as the key is logit adjustment: log prior is added to the candidate's logit
    (balanced softmax, arXiv:2007.10740; arXiv:2007.07314). what="attract" tells learned centres from samples (PaCo's
    alpha, arXiv:2107.12028). of="anchor" shares attraction out before relations are mixed: with the key 1 /
    `losses.pull`, each part of `one + two` weighs the same in every row.
    """

    key: str
    what: Literal["attract", "among"] = "attract"
    of: Literal["candidate", "anchor"] = "candidate"

    def __post_init__(self) -> None:
        input_checks.choice(self.what, "weighed: what", ("attract", "among"))
        input_checks.choice(self.of, "weighed: of", ("candidate", "anchor"))

    def weights(self, a: Keys, c: Keys) -> tuple[Tensor, Tensor | None]:
        """The key on its side, 1 on the other."""
        value = (a if self.of == "anchor" else c)[self.key]
        return (value, None) if self.what == "attract" else (torch.ones_like(value), value)

    def few(self, a: Keys, c: Keys) -> tuple[Pairs | None, Pairs | None]:
        """Everyone attracts; everyone counts unless that is what is weighed."""
        return None, nobody(a) if self.what == "attract" else None

    def reads(self) -> frozenset[str]:
        """The key."""
        return frozenset({self.key})
