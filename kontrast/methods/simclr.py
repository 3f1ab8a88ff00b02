"""SimCLR: two distorted views of a field of each sample attract, all other samples of the batch repel."""

from collections.abc import Mapping

from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.core.rows import Keys, Mean, Rows
from kontrast.layers.head import Head
from kontrast.layers.towers import Towers
from kontrast.losses.contrast import contrast
from kontrast.losses.infonce import Infonce
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same import Same
from kontrast.losses.relations.twins import Twins
from kontrast.methods.method import Method


class Simclr(Method):
    """NT-Xent between two views of one field (Chen et al. 2020, arXiv:2002.05709); needs neither labels nor pairs.

    The projection head is for training only: what is judged and served is the encoder's output. Duplicates of a sample
    are no negatives.
    """

    most = 1

    def __init__(self, towers: Towers, *, temperature: float = 0.2, hidden: int = 512, width: int = 128) -> None:
        super().__init__()
        (self.field,) = towers.tower_of
        self.towers = towers
        self.head = Head(in_width=towers.width(self.field), hidden=hidden, width=width)
        self.kernel = Cosine(temperature=temperature)
        self.loss = Infonce()
        self.relation = Same("id") & Twins(f"content {self.field}")

    def draws(self) -> dict[str, str]:
        """One field, drawn twice."""
        return {f"{self.field}.1": self.field, f"{self.field}.2": self.field}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Both views through encoder and head."""
        return {name: self.head(self.towers(self.field, x)) for name, x in views.items()}

    def compare(self, rows: Mapping[str, Rows], ranks: Ranks) -> dict[str, Mean]:
        """All views of this rank against all views of all ranks."""
        ours = Rows.stack(*rows.values())
        everyone = ranks.gather({"": ours})[""]
        return {"contrast": contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel)}

    def embed(self, field: str, x: Tensor) -> Tensor:
        """The encoder's output."""
        return self.towers(field, x)

    def outline(self, rows: Mapping[str, Rows]) -> list[tuple[Rows, Rows]]:
        """The two views of each sample."""
        one, two = rows.values()
        return [(one, two)]
