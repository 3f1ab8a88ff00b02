"""BPR: an anchor is nearer to what was chosen for it than to what was rejected."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.head import Head
from kontrast.losses.preference.bradley_terry import BradleyTerry as Loss
from kontrast.losses.preference_loss import Answers
from kontrast.tasks.parts import where_present
from kontrast.tasks.preference.preference_task import PreferenceTask
from kontrast.tasks.task import Output

PROJECTED = 256  # width of the shared space if the fields have different encoders


class BPR(PreferenceTask):
    """Learns a space in which an anchor (a user, a query) lies nearer to what it chose than to what it rejected.

    Take it for recommendation and search with known rejections. Without them take `CLIP`, which contrasts with other
    rows; for a reward without an anchor take `BradleyTerry`.

    Args:
        encoders: Facts of the encoders of the three fields.
        anchor: Field of the user or query.
        chosen: Field that was chosen for it.
        rejected: Field that was rejected.
        similarity: "cosine", by which embeddings are searched, or "dot", as in the paper.
        temperature: Divides the similarity. Default 0.1; take 1 with "dot", as in the paper.
        margin: By which the chosen similarity must lead; 0 as in the paper.
        width: Width of a linear map into the shared space; None: no map if all fields share an encoder, else 256.

    Raises:
        UserError: a field that the data lacks, or a setting outside its bounds.

    Equation:
        L = -log sigmoid((s(a, chosen) - s(a, rejected)) / temperature - margin)

    Reference:
        Rendle et al. 2009, arXiv:1205.2618.

    Example:
        >>> widths = {"anchor": 8, "chosen": 8, "rejected": 8}
        >>> info = EncoderInfo(widths, networks=dict.fromkeys(widths, "text"))
        >>> BPR(info, similarity="dot", temperature=1.0).width
        8
    """

    shared = True
    min_fields = 3

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        anchor: str = "anchor",
        chosen: str = "chosen",
        rejected: str = "rejected",
        similarity: Literal["cosine", "dot"] = "cosine",
        temperature: float = 0.1,
        margin: float = 0.0,
        width: int | None = None,
    ) -> None:
        super().__init__(encoders, {"anchor": anchor, "chosen": chosen, "rejected": rejected}, "global")
        self.similarity, self.loss = similarity, Loss(margin=margin)
        self.temperature = temperature
        if temperature <= 0:
            raise UserError(f"task 'bpr': temperature={temperature:g}; expected more than 0.")
        self.networks = {field: encoders.network(field) for field in self.fields_of.values()}
        used = {network: field for field, network in self.networks.items()}
        width = width or (PROJECTED if len(used) > 1 else None)
        self.width = width or encoders.widths[anchor]
        heads = {n: Head(in_width=encoders.widths[f], width=width, layers=1) for n, f in used.items() if width}
        self.heads = nn.ModuleDict(heads)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of the three fields in the shared space, zeros for rows that lack one."""
        found = {}
        for part, features in encoders(batch, self.fields_of).items():
            field = self.fields_of[part]
            head, here = self._head(field), batch.keys[f"has {field}"]
            z = where_present(head, features.pooled, here, self.width, together=encoders.together)
            found[part] = Output(z, part)
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss over rows that have all three fields."""
        here = self.complete(out["anchor"])
        chosen, rejected = self._similarities({part: rows[here] for part, rows in out.items()})
        return {"preference": self.loss(Answers(chosen), Answers(rejected))}

    def lead(self, out: Mapping[str, Embeddings]) -> Tensor:
        """Difference of the similarities, (B,)."""
        chosen, rejected = self._similarities(out)
        return chosen - rejected

    def embed(self, field: str, features: Features) -> Tensor:
        """The point in the shared space."""
        return self._head(field)(features.pooled) if field in self.networks else features.pooled

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Anchors and what was chosen for them."""
        here = self.complete(out["anchor"])
        return [(out["anchor"][here], out["chosen"][here])]

    def _head(self, field: str) -> nn.Module:
        return self.heads[self.networks[field]] if self.heads else nn.Identity()

    def _similarities(self, out: Mapping[str, Embeddings]) -> tuple[Tensor, Tensor]:
        anchor, *others = (out[part].z for part in ("anchor", "chosen", "rejected"))
        if self.similarity == "cosine":
            anchor, *others = (F.normalize(z, dim=1) for z in (anchor, *others))
        chosen, rejected = ((anchor * z).sum(1) / self.temperature for z in others)
        return chosen, rejected
