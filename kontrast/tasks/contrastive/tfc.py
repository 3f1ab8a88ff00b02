"""TF-C: a series is like its augmented self in time and in frequency, and both are alike."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.random_streams import fork, uniform
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.head import Head
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.parts import where_present
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams

LOUDEST = 0.1  # most that an added frequency gains, as a share of the row's largest amplitude


class TFC(Task):
    """Contrasts series in time, in frequency, and the one with the other.

    Take it to compare with the paper; its published transfer is reported as not reproducible (about half of the figure
    from FD-A to FD-B), so try `simclr`, `ts2vec` and `tloss` first. It needs the encoder `time_frequency` (the recipe
    takes it): the first half of its features is from time, the second from frequencies.

    The view in time is augmented as usual. That in frequency loses each frequency, and each gains up to a tenth of the
    largest amplitude, with probability `change`. Duplicates are no negatives. The encoder's output is evaluated and
    served. As in the authors' code the consistency term compares the two plain views alone; the paper also subtracts
    pairs with augmented ones.

    Args:
        encoders: Facts of the encoder, whose features are halves of time and frequency.
        balance: Weight of the contrasts in time and in frequency beside consistency; 0.2 as in the authors' code.
        change: Probability that a frequency is lost, and that it gains; 0.1 as in the authors' code.
        temperature: Of the cosine; 0.2 as in the paper.
        hidden: Width of the heads' hidden layer; 256 as in the paper.
        width: Width of the embeddings compared for consistency; 128 as in the paper.

    Raises:
        UserError: The field is no series.

    Equation:
        L = balance (N(h_t, h_t') + N(h_f, h_f')) + N(z_t, z_f), N the loss of `simclr`, h the halves, ' augmented, z
        after a head each

    Reference:
        Zhang et al. 2022, arXiv:2206.08496.

    Example:
        >>> list(TFC(EncoderInfo({"eeg": 512}, modalities={"eeg": "series"})).views())
        ['eeg.1', 'eeg.2']
    """

    max_fields = 1
    caution = (
        "TF-C: its published transfer is reported as not reproducible (about half from FD-A to FD-B); compare with "
        "--recipe simclr, ts2vec or tloss"
    )

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        balance: Annotated[float, Range(0)] = 0.2,
        change: Annotated[float, Range(0, 1)] = 0.1,
        temperature: float = 0.2,
        hidden: int = 256,
        width: int = 128,
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        encoders.expect_axes(self.field, "BCT", "task 'tfc' contrasts time and frequency of series")
        self.middle = encoders.widths[self.field] // 2
        self.length = encoders.facts.get(self.field, {}).get("length") or 128
        rest = encoders.widths[self.field] - self.middle
        self.heads = torch.nn.ModuleList(Head(in_width=n, hidden=hidden, width=width) for n in (self.middle, rest))
        self.balance, self.change, self.width, self.streams = balance, change, width, TaskStreams()
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        self.content = f"content {self.field}"
        self.relation = SameKey("id") & ExcludeDuplicates(self.content)

    def begin(self, clock: Clock) -> None:
        """Goes on to the random numbers of the step."""
        self.streams.begin(clock)

    def views(self) -> dict[str, ViewSpec]:
        """The series as it is, which the task also changes in frequency, and augmented."""
        return {f"{self.field}.1": ViewSpec(self.field, "original"), f"{self.field}.2": ViewSpec(self.field)}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Halves of the plain views and of the augmented ones, and both plain halves after their heads."""
        plain, augmented = self.views()
        x, here = batch.views[plain].data, batch.keys[f"has {self.field}"]
        changed = View(self.field, self.changed(x, batch.keys["id"]))
        views = {plain: batch.views[plain], augmented: batch.views[augmented], "changed": changed}
        seen = {name: f.pooled for name, f in encoders(Batch(views, batch.keys), list(views)).items()}
        time, frequency = seen[plain].split([self.middle, seen[plain].shape[1] - self.middle], 1)
        z = [
            where_present(head, half, here, self.width, together=encoders.together)
            for head, half in zip(self.heads, (time, frequency), strict=True)
        ]
        found = {
            "time": time,
            "time augmented": seen[augmented][:, : self.middle],
            "frequency": frequency,
            "frequency augmented": seen["changed"][:, self.middle :],
            "consistent time": z[0],
            "consistent frequency": z[1],
        }
        return {name: Output(rows, plain) for name, rows in found.items()}

    def changed(self, x: Tensor, ids: Tensor) -> Tensor:
        """Series (B, C, T) with frequencies lost and added, their phases kept; gaps stay gaps."""
        spectrum = torch.fft.rfft(x.nan_to_num(0.0), max(self.length, x.shape[-1]), dim=2)
        count, stream = spectrum.shape[2], self.streams.of_rows(ids, 0)
        draws = torch.stack([uniform(fork(stream, c), 3 * count) for c in range(x.shape[1])], 1).to(x.dtype)
        lost, added, gain = draws.split(count, 2)
        amplitude = spectrum.abs()
        loud = gain * (added < self.change) * LOUDEST * amplitude.amax(2, keepdim=True)
        made = torch.polar(amplitude * (lost >= self.change) + loud, spectrum.angle())
        series = torch.fft.irfft(made, max(self.length, x.shape[-1]), dim=2)[..., : x.shape[-1]]
        return torch.where(x.isfinite(), series, x)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The three contrasts, against the rows of all ranks."""
        found = {}
        for name, one, two in (
            ("time", "time", "time augmented"),
            ("frequency", "frequency", "frequency augmented"),
            ("consistency", "consistent time", "consistent frequency"),
        ):
            ours = Embeddings.stack(*(self._numbered(out[side], number) for number, side in enumerate((one, two))))
            everyone = ranks.gather({"": ours})[""]
            term = contrast(ours, everyone, self.relation, loss=self.loss, kernel=self.kernel)
            found[name] = term if name == "consistency" else self.balance * term
        return found

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Time and frequency of each row, after the heads."""
        return [(self._numbered(out["consistent time"], 0), self._numbered(out["consistent frequency"], 1))]

    def _numbered(self, rows: Embeddings, view: int) -> Embeddings:
        rows = rows[rows.keys[f"has {self.field}"]]
        keys = {name: rows.keys[name] for name in ("id", self.content)}
        return Embeddings(rows.z, {**keys, "view": torch.full_like(keys["id"], view)})
