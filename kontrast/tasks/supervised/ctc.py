"""Speech recognition: the text of a row is read off the dense features of its sound, position by position (CTC)."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.tasks.task import Output, Task
from kontrast.tasks.text_targets import compact, pieces_of, text_field

_BLANK = 0  # class of a position that adds nothing


class CTC(Task):
    """Predicts a text from the dense features of a sound or series, in the order of time.

    A linear head gives each position a piece of the text or nothing, and the loss sums over all alignments. Rows whose
    text needs more predictions than their positions give have no loss. Sounds are heard whole, up to 20 s; their text
    is the first one of its cell, and its own encoder does not learn from this task. The served embedding is the
    encoder's.

    Args:
        encoders: Facts of the encoders; that of the sound gives dense features.
        text: Field whose texts are predicted; None: the only text field.
        tokens: Pieces that a text is spelled in: "characters" (bytes, of the vocabulary that is learned from the data;
            other tokenizers keep their tokens), or the whole "vocabulary" of the text field.
        per: Predictions per position, 1 to 64. Default 2, every 40 ms with `audio_cnn`, whose positions are 80 ms long.

    Raises:
        UserError: No text field, several without `text`, or an encoder without dense features.

    Equation:
        L = -log sum_{alignments a of the text} prod_t p_t(a_t), divided by the number of pieces

    Reference:
        Graves et al., "Connectionist temporal classification", ICML 2006.

    Example:
        >>> kinds, facts = {"clip": "audio", "words": "text"}, {"words": {"vocabulary": 300}}
        >>> CTC(EncoderInfo({"clip": 64, "words": 32}, {"clip": 16, "words": 32}, {}, kinds, facts)).head.out_features
        602
    """

    min_fields = max_fields = 2
    uses = frozenset({"dense"})
    asks: Mapping[str, object] = {"seconds": 5.0}  # unaugmented views show up to four times that
    strength = "light"
    piece: Tensor
    spelled: Tensor

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        text: str | None = None,
        tokens: Literal["characters", "vocabulary"] = "characters",
        per: Annotated[int, Range(1, 64)] = 2,
    ) -> None:
        super().__init__()
        self.text, self.per = text_field(encoders, text, "ctc"), per
        (self.heard,) = (field for field in encoders.fields if field != self.text)
        dense = encoders.dense.get(self.heard)
        if not dense:
            raise UserError(
                f"task 'ctc' found no dense features of the field '{self.heard}'; expected an encoder that gives a "
                "vector per instant, such as audio_cnn or tcn."
            )
        self.networks = {self.heard: encoders.network(self.heard)}
        spelled = pieces_of(encoders.facts[self.text], split=tokens == "characters")
        used, classes = spelled[spelled >= 0].unique(return_inverse=True)
        self.register_buffer("piece", used, persistent=False)
        spelled[spelled >= 0] = classes + 1
        self.register_buffer("spelled", spelled, persistent=False)
        self.head = nn.Linear(dense, per * (len(used) + 1))

    def views(self) -> dict[str, ViewSpec]:
        """Both fields as they are, since a segment of a sound has another text."""
        return {field: ViewSpec(field, "original") for field in (self.heard, self.text)}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Negative log-likelihood of each row's text; as in `errors`."""
        return {self.heard: self.errors(encoders, batch, self.heard)}

    def errors(self, encoders: EncodedViews, batch: Batch, field: str) -> Output:
        """Negative log-likelihood of each row's text from its sound.

        Returns:
            (B, 1), zeros for rows without loss, with the number of pieces of the others as the key `length`.
        """
        logits, positions = self._predicted(encoders(batch, [field])[field])
        wanted = self.classes(batch.views[self.text].data)
        length = (wanted >= 0).sum(1)
        repeated = ((wanted[:, 1:] == wanted[:, :-1]) & (wanted[:, 1:] >= 0)).sum(1)  # a blank between them
        here = batch.keys[f"has {field}"] & batch.keys[f"has {self.text}"]
        here = here & (length > 0) & (length + repeated <= positions)
        at, kind = here.nonzero()[:, 0], torch.promote_types(logits.dtype, torch.float32)
        loss = torch.zeros(len(here), 1, device=here.device, dtype=kind)
        if len(at):
            odds = logits[at].log_softmax(2, dtype=kind).transpose(0, 1)
            there = torch.device("cpu") if torch.are_deterministic_algorithms_enabled() else odds.device
            text, room, pieces = (part[at].to(there) for part in (wanted.clamp_min(0), positions, length))
            each = F.ctc_loss(odds.to(there), text, room, pieces, _BLANK, reduction="none")  # not exact on a GPU
            loss = loss.index_put((at,), each[:, None].to(odds.device))
        return Output(loss, field, {"length": length * here})

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Mean error per piece of this rank's texts.

        Raises:
            UserError: No row of a batch has a text that fits.
        """
        rows = out[self.heard]
        if ranks.world == 1 and not rows.keys["length"].any():
            raise UserError(
                f"task 'ctc': in a batch of {len(rows.z)} rows no text of '{self.text}' fits its '{self.heard}', which "
                f"gives {self.per} letters per position; expected texts of what is said, in sounds long enough for "
                "them. If they are, raise the setting `per` of the task."
            )
        return {f"{self.heard}>{self.text}": LossTerm(rows.z.sum(), exact(rows.keys["length"].sum()))}

    @torch.no_grad()
    def caption(self, field: str, features: Features) -> Tensor:
        """Tokens of the likeliest class of every position, repeats and blanks left out: (B, L) int64, -1 at the end."""
        logits, positions = self._predicted(features)
        best = logits.argmax(2)
        said = (best != F.pad(best[:, :-1], (1, 0), value=_BLANK)) & (best != _BLANK)
        said &= torch.arange(best.shape[1], device=best.device) < positions[:, None]
        return compact(self.piece[(best - 1).clamp_min(0)].masked_fill(~said, -1))

    def classes(self, x: Tensor) -> Tensor:
        """Classes of the pieces of tokens (B, L), from 1, -1 after the end."""
        return compact(self.spelled[x.clamp_min(0)].masked_fill((x < 0)[:, :, None], -1).flatten(1))

    def _predicted(self, features: Features) -> tuple[Tensor, Tensor]:
        """Logits of every prediction, (B, T, classes), and how many of them exist, (B,)."""
        assert features.dense is not None
        logits = self.head(features.dense).unflatten(2, (self.per, -1)).flatten(1, 2)
        there = features.dense.new_ones(features.dense.shape[:2], dtype=torch.bool)
        return logits, (there if features.mask is None else features.mask).sum(1) * self.per
