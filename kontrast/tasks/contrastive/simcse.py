"""SimCSE: a text is itself under another dropout, or the positive beside it, and hard negatives are neither."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.given_negatives import GivenNegatives
from kontrast.tasks.parts import having_both, where_present
from kontrast.tasks.task import Output, Task


class SimCSE(Task):
    """Contrast of texts without augmentation: by dropout alone, or with given positives and hard negatives.

    With one field, a text is encoded twice, and the two results differ by the encoder's dropout. With two fields, the
    second is the positive of the first; with three, the third is its hard negative. An anchor is compared with all
    positives and all hard negatives of the batch; rows may lack the hard negative. The head is used in training only;
    the encoder's output is served. Duplicates of a sample are no negatives.

    Fields of any modality are taken. For both directions between two fields, take `clip`; for augmented views,
    `simclr`.

    Args:
        encoders: Facts of the encoders of one, two or three fields, in this order: anchor, positive, hard negative.
        temperature: Of the cosine. 0.05 as in the paper.
        hard_weight: Weight of the anchor's own hard negative among candidates. 1 as in the paper, where 0.5 and 2 do
            worse; the authors' code takes its logarithm.
        head: Whether a linear layer with tanh stands before the loss, as in the authors' code.

    Raises:
        UserError: More than three fields, a setting outside its range, or an encoder without dropout where both views
            of a text are to differ by it.

    Equation:
        L_i = -log(e^(cos(a_i, p_i)/t) / sum_j (e^(cos(a_i, p_j)/t) + w_ij e^(cos(a_i, n_j)/t))), w_ij = hard_weight if
        i = j else 1

    Reference:
        Gao et al. 2021, arXiv:2104.08821.

    Example:
        >>> list(SimCSE(EncoderInfo({"text": 8})).views())
        ['text.1', 'text.2']
    """

    shared = True
    max_fields = 3

    def __init__(
        self, encoders: EncoderInfo, *, temperature: float = 0.05, hard_weight: float = 1.0, head: bool = True
    ) -> None:
        super().__init__()
        fields = encoders.fields
        if len(fields) > 3:
            found = ", ".join(fields)
            raise UserError(f"task 'simcse' takes an anchor, its positive and a hard negative; found fields {found}.")
        self.fields, self.twice = fields, len(fields) == 1
        self.networks = {field: encoders.network(field) for field in fields}
        self.width = encoders.widths[fields[0]]
        widths = {self.networks[field]: encoders.widths[field] for field in fields}
        if not head and len(set(widths.values())) > 1:
            raise UserError(
                f"task 'simcse': the encoders of {', '.join(fields)} have widths {', '.join(map(str, widths.values()))}"
                "; expected one width, or head=true."
            )
        made = {n: [nn.Linear(w, self.width), nn.Tanh()] if head else [] for n, w in widths.items()}
        self.heads = nn.ModuleDict({network: nn.Sequential(*layers) for network, layers in made.items()})
        self.loss, self.kernel = InfoNCE(), Cosine(temperature=temperature)
        self.relation = GivenNegatives("hard", hard_weight)
        for field in fields[:2]:
            self.relation = self.relation & ExcludeDuplicates(f"content {field}")
        self.looked = False

    def views(self) -> dict[str, ViewSpec]:
        """Each field as it is; a single one twice."""
        names = [f"{self.fields[0]}.{n}" for n in (1, 2)] if self.twice else self.fields
        return {name: ViewSpec(self.fields[0] if self.twice else name, "original") for name in names}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each view, zeros for rows that lack the field."""
        found, specs = {}, self.views()
        features = encoders(batch, specs)
        if self.twice and self.training and not self.looked:
            self._look([features[name].pooled for name in specs], batch.keys[f"has {self.fields[0]}"])
        for name, spec in specs.items():
            head, here = self.heads[self.networks[spec.field]], batch.keys[f"has {spec.field}"]
            z = where_present(head, features[name].pooled, here, self.width, together=encoders.together)
            found[name] = Output(z, name)
        return found

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Anchors of this rank against positives and hard negatives of all ranks."""
        anchors, positives = self._pairs(out)
        rows = {"positives": _marked(positives, 0)}
        if len(self.fields) == 3:
            hard = out[self.fields[2]]
            rows["hard"] = _marked(hard[hard.keys[f"has {self.fields[2]}"]], 1)
        candidates = Embeddings.stack(*ranks.gather(rows).values())
        return {"contrast": contrast(anchors, candidates, self.relation, loss=self.loss, kernel=self.kernel)}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Anchors and positives of the rows that have both."""
        return [self._pairs(out)]

    def _pairs(self, out: Mapping[str, Embeddings]) -> tuple[Embeddings, Embeddings]:
        one, two = list(out.values())[:2]
        return having_both(one, two, self.fields[:2])

    def _look(self, views: list[Tensor], here: Tensor) -> None:
        """Raises if dropout changes nothing, in the first step that trains."""
        self.looked = bool(here.any())
        if self.looked and torch.equal(*views):
            field, network = self.fields[0], self.networks[self.fields[0]]
            raise UserError(
                f"task 'simcse': both views of '{field}' are equal, since the encoder '{network}' has no dropout, and "
                f"nothing is learned from equal views: set encoders.{network}.dropout above 0, or for a frozen model "
                f"encoders.{network}.train=lora."
            )


def _marked(rows: Embeddings, hard: int) -> Embeddings:
    return Embeddings(rows.z, {**rows.keys, "hard": torch.full_like(rows.keys["id"], hard)})
