"""CoST: trends of two distorted views agree at an instant, and their seasons at every frequency."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import WHOLE, Range
from kontrast.core.random_streams import drawn, fork, share, uniform
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.head import Head
from kontrast.layers.momentum import MomentumCopy
from kontrast.layers.queue import Queue
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.queued_keys import queue_length, queued
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams

TINY = 1e-6  # beside a frequency that a row lacks, whose phase has no gradient


class CoST(Task):
    """Contrasts trends by momentum copies and a queue, and seasons by amplitude and phase of each frequency.

    Take it to forecast, with the encoder `trend_season_cnn` (the recipe does): the first half of its vectors per
    instant is the trend, the second the season. Both views are the row, of which each is scaled, shifted and
    jittered with probability 1/2. Of the trend one random instant per row is compared, after a head. There is no head
    for the season. Duplicates are no negatives. The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder, which gives one vector per instant.
        samples: Number of training rows, from the data.
        alpha: Weight of the seasons beside the trends; 0.0005 as in the paper.
        sigma: Deviation of scale, shift and jitter; 0.5 as in the authors' code, for series of deviation 1.
        queue: Trends of earlier batches, at most `samples`. None: 256 as in the authors' code, or half of `samples`.
        temperature: Of the cosine of trends; 0.07 as in the paper.
        momentum: Share of their own weights that the copies keep; 0.999 as in the paper.

    Raises:
        UserError: The field is no series, its encoder gives no vector per instant, or the queue is too long.

    Equation:
        L = L_trend + alpha / 2 (L_amplitude + L_phase): L_trend that of `moco` with a queue; L_amplitude the mean over
        frequencies f of NT-Xent without temperature, of inner products of |rfft(s / |s|)_f|, s the season; L_phase the
        same of the angle

    Reference:
        Woo et al. 2022, arXiv:2202.01575.

    Example:
        >>> info = EncoderInfo({"load": 320}, dense={"load": 320}, modalities={"load": "series"})
        >>> CoST(info, samples=100).views()
        {'load': ViewSpec(field='load', role='original', augmentation=None, mixing=None)}
    """

    max_fields = 1
    uses = frozenset({"dense", "momentum"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        samples: int,
        alpha: Annotated[float, Range(0)] = 0.0005,
        sigma: Annotated[float, Range(0)] = 0.5,
        queue: Annotated[int, Range(1, WHOLE)] | None = None,
        temperature: float = 0.07,
        momentum: Annotated[float, Range(0, 1)] = 0.999,
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        encoders.expect_axes(self.field, "BCT", "task 'cost' contrasts trend and season of series")
        dense = encoders.dense.get(self.field) or encoders.widths[self.field]
        self.breadth, self.length = dense // 2, encoders.facts.get(self.field, {}).get("length") or 128
        if not self.breadth:
            raise UserError("task 'cost' needs vectors of trend and season; found one of a single number. Set out=320.")
        self.alpha, self.sigma, self.kept, self.streams = alpha, sigma, momentum, TaskStreams()
        self.content = f"content {self.field}"
        self.head = Head(in_width=self.breadth, hidden=self.breadth, width=self.breadth, norm="none")
        self.copied, self.kernel = MomentumCopy(self.head), Cosine(temperature=temperature)
        length = queue_length("cost", queue or min(256, max(1, samples // 2)), samples, least=1)
        self.queue = Queue(size=length, width=self.breadth, keys=(self.content,))
        self.relation = SameKey("id") & ExcludeDuplicates(self.content)

    def begin(self, clock: Clock) -> None:
        """Goes on to the random numbers of the step; the copies follow in its end."""
        self.streams.begin(clock)
        self.momentum = self.kept

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation, which the task distorts itself."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Trends of the first view at an instant, (B, D); amplitudes and phases of both views, (B, F, D)."""
        seen = encoders(self.distorted(batch), ["1", "2"])
        found = {"trend": Output(self.head(self.trend(seen["1"], batch)), self.field)}
        for view, features in seen.items():
            season = torch.nn.functional.normalize(self.instants(features)[..., self.breadth :], dim=-1)
            spectrum = torch.fft.rfft(season.float() if season.dtype is torch.bfloat16 else season, self.length, dim=1)
            real, imaginary = spectrum.real + TINY, spectrum.imag
            found[f"amplitude {view}"] = Output((real**2 + (imaginary + TINY) ** 2).sqrt(), self.field)
            found[f"phase {view}"] = Output(torch.atan2(imaginary, real), self.field)
        return found

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Trends of the second view at the same instants, by the momentum copies."""
        seen = encoders.momentum(self.distorted(batch), ["2"])["2"]
        return {"key": Output(self.copied(self.trend(seen, batch)), self.field)}

    def distorted(self, batch: Batch) -> Batch:
        """Both views: each scaled, shifted and jittered with probability 1/2, by random numbers of the row."""
        x, views = batch.views[self.field].data, {}
        C, T = x.shape[1:]
        for number, view in enumerate(("1", "2")):
            stream = self.streams.of_rows(batch.keys["id"], number)
            scale, shift, noise = self.sigma * (uniform(stream, 3) < 0.5).to(x.dtype).T[:, :, None, None]
            ways = torch.stack([_normal(fork(stream, c), T + 2) for c in range(C)], 1).to(x.dtype)
            changed = x * (1 + scale * ways[..., :1]) + shift * ways[..., 1:2] + noise * ways[..., 2:]
            views[view] = View(self.field, changed)
        return Batch(views, batch.keys)

    def instants(self, features: Features) -> Tensor:
        """The vectors per instant, (B, P, E)."""
        if features.dense is None:
            raise UserError(
                f"task 'cost' needs a vector per instant; the encoder of '{self.field}' gives none. Take "
                f"--encoder {self.field}=trend_season_cnn."
            )
        mask = features.mask
        return features.dense if mask is None else features.dense.masked_fill(~mask[..., None], 0.0)

    def trend(self, features: Features, batch: Batch) -> Tensor:
        """The trend at a random instant of each row, (B, D), the same instant in both views."""
        dense = self.instants(features)
        count = (
            features.mask.sum(1) if features.mask is not None else dense.new_full((len(dense),), dense.shape[1]).long()
        )
        at = share(drawn(self.streams.of_rows(batch.keys["id"], 2), 1)[:, 0], count.clamp_min(1))
        return dense[torch.arange(len(dense), device=dense.device), at, : self.breadth]

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Trends against the queue; seasons against those of all ranks, frequency by frequency."""
        here = out["trend"].keys[f"has {self.field}"]
        query, key = (self._numbered(out[name][here], number) for number, name in enumerate(("trend", "key")))
        found = {"trend": queued(query, key, self.queue, content=self.content, loss=InfoNCE(), kernel=self.kernel)}
        for part in ("amplitude", "phase"):
            sides = [self._numbered(out[f"{part} {view}"][here], number) for number, view in enumerate(("1", "2"))]
            ours = Embeddings.stack(*sides)
            everyone = ranks.gather({"": ours})[""].stacked(1)
            term = contrast(ours.stacked(1), everyone, self.relation, loss=InfoNCE(), kernel=Dot())
            found[part] = self.alpha / 2 * term
        return found

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the copy of the head, and queues the trends of all ranks."""
        self.copied.update(self.head, self.momentum)
        self.queue.push(self.positive_pairs(out)[0][1], ranks)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Trends of the first view with those of the copies."""
        here = out["trend"].keys[f"has {self.field}"]
        return [(out["trend"][here], out["key"][here])]

    def _numbered(self, rows: Embeddings, view: int) -> Embeddings:
        keys = {name: rows.keys[name] for name in ("id", self.content)}
        return Embeddings(rows.z, {**keys, "view": torch.full_like(keys["id"], view)})


def _normal(stream_B: Tensor, n: int) -> Tensor:
    """Normal numbers of each stream, (B, n), of which the first do not depend on n, that is on padding."""
    radius, turn = (uniform(fork(stream_B, k), n) for k in (101, 102))
    return (-2 * (1 - radius).log()).sqrt() * (2 * torch.pi * turn).cos()
