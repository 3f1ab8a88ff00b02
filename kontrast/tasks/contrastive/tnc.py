"""TNC: a window of a series is like windows of its neighbourhood in time, and mostly unlike distant ones."""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.factory import WHOLE, Range
from kontrast.core.random_streams import drawn, normal, share, uniform
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.one_field import OneField
from kontrast.tasks.overlapping_crops import cut, ends
from kontrast.tasks.parts import where_present
from kontrast.tasks.stationarity import dickey_fuller, p_value
from kontrast.tasks.task import Output
from kontrast.tasks.task_streams import TaskStreams

WIDEST = 3  # windows of the widest neighbourhood
APART = 5  # distant windows begin as many neighbourhoods away
SURE = 0.01  # p-value below which a stretch is stationary


class TNC(OneField):
    """Tells windows near a random window of the same series from distant ones, by a small discriminator.

    Take it for long series that pass through states (activities, phases of sleep), and embed windows of them with
    `run.embed_instants`. For short series that are one class each, take `tloss` or `ts2vec`: TNC never compares rows.

    Near windows begin at normal distances, whose deviation is 1 to 3 windows: as far as the series around is stationary
    by an augmented Dickey-Fuller test. Distant ones begin 5 such neighbourhoods away, on the side with more room, or at
    the end of the row if it is shorter; those that overlap the window count for nothing. Distant windows may be of the
    same state, so each counts as near with weight `weight_near`. The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field.
        window: Instants of a window. None: an eighth of the longest row; 50 of 2,000 in the paper's simulation.
        pairs: Near windows of each window, and as many distant ones; 20 in the authors' code for simulated data, 5 for
            MIMIC.
        weight_near: Probability that a distant window is near in kind, 0 to 1; 0.05 as in the authors' code.
        neighbourhood: Deviation of near windows, in windows. None: by the test.
        dropout: Of the discriminator's hidden layer; 0.5 as in the authors' code.
        width: Width of the compared embeddings, by a linear layer; 64 as in the authors' code for ECG.

    Raises:
        UserError: The field is no series.

    Equation:
        L = 1/2 mean [-log D(z, z_near) - (1 - w) log(1 - D(z, z_far)) - w log D(z, z_far)], D a network of one hidden
        layer, four times as wide as z, under the logistic function

    Reference:
        Tonekaboni, Eytan, Goldenberg 2021, arXiv:2106.00750.

    Example:
        >>> TNC(EncoderInfo({"ecg": 320}, modalities={"ecg": "series"})).views()
        {'ecg': ViewSpec(field='ecg', role='original', augmentation=None, mixing=None)}
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        window: Annotated[int, Range(1, WHOLE)] | None = None,
        pairs: Annotated[int, Range(1, 1000)] = 5,
        weight_near: Annotated[float, Range(0, 1)] = 0.05,
        neighbourhood: Annotated[float, Range(0)] | None = None,
        dropout: Annotated[float, Range(0, 0.99)] = 0.5,
        width: int = 64,
    ) -> None:
        super().__init__(encoders, views=1, hidden=0, width=width)
        encoders.expect_axes(self.field, "BCT", "task 'tnc' contrasts windows of series")
        length = encoders.facts.get(self.field, {}).get("length") or 128
        self.window, self.pairs, self.neighbourhood = window or max(2, length // 8), pairs, neighbourhood
        self.weight_near, self.dropout, self.streams = weight_near, dropout, TaskStreams()
        self.enter, self.leave = nn.Linear(2 * width, 4 * width), nn.Linear(4 * width, 1)

    def begin(self, clock: Clock) -> None:
        """Goes on to the random numbers of the step."""
        self.streams.begin(clock)

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation, which the task cuts itself."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Embeddings of each row's window, (B, D), and of its near and distant windows, (B, pairs, D)."""
        x, here = batch.views[self.field].data, batch.keys[f"has {self.field}"]
        begins, wide = self.windows(x, batch.keys["id"])
        B, M = begins.shape
        most = min(self.window, x.shape[-1])
        parts = cut(x.repeat_interleave(M, 0), begins.flatten(), wide.repeat_interleave(M), most)
        keys = {name: batch.keys[name].repeat_interleave(M) for name in ("id", f"has {self.field}")}
        seen = encoders(Batch({"windows": View(self.field, parts)}, keys), ["windows"])["windows"].pooled
        z = where_present(self.head, seen, here.repeat_interleave(M), self.head.width, together=encoders.together)
        one, near, far = z.view(B, M, -1).split([1, self.pairs, self.pairs], 1)
        apart = (begins[:, -self.pairs :] - begins[:, :1]).abs() >= wide[:, None]
        return {
            "window": Output(one[:, 0], self.field),
            "near": Output(near, self.field),
            "far": Output(far, self.field, {"mask": apart}),
        }

    def windows(self, x: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Begins of each row's window, its near and its distant ones, (B, 1 + 2 pairs), and their width, (B,)."""
        length = ends(x)
        wide = length.clamp_max(self.window)
        last = length - wide
        begin = share(drawn(self.streams.of_rows(ids, 0), 1)[:, 0], last + 1)
        reach = self.reach(x, begin + wide // 2) * self.window
        near = (begin[:, None] + normal(self.streams.of_rows(ids, 1), self.pairs) * reach[:, None]).long()
        near = near.clamp_min(0).minimum(last[:, None])
        late, gap = 2 * begin + wide > length, (APART * reach).long()
        low = torch.where(late, 0, (begin + gap).minimum(last))
        high = torch.where(late, (begin - gap).clamp_min(0), last)
        far = low[:, None] + share(drawn(self.streams.of_rows(ids, 2), self.pairs), (high - low + 1)[:, None])
        return torch.cat([begin[:, None], near, far], 1), wide

    def reach(self, x: Tensor, centre: Tensor) -> Tensor:
        """Deviation of near windows, in windows, (B,): as far as the series around the centre is stationary."""
        if self.neighbourhood is not None:
            return torch.full_like(centre, self.neighbourhood, dtype=torch.float32)
        stationary = []
        for n in range(1, WIDEST + 1):
            at = centre[:, None] + torch.arange(-n * self.window, n * self.window, device=x.device)
            inside = (at >= 0) & (at < x.shape[-1])
            around = x.gather(2, at.clamp(0, x.shape[-1] - 1)[:, None].expand(-1, x.shape[1], -1))
            around = around.masked_fill(~inside[:, None], math.nan)
            p = p_value(dickey_fuller(around.flatten(0, 1))).view(x.shape[:2]).mean(1)
            stationary.append(p < SURE)
        return (1 + torch.stack(stationary).long().cumprod(0).sum(0)).clamp_max(WIDEST).float()

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Each row's window against its own near and distant windows."""
        ours, near, far = (self.having(out[name]) for name in ("window", "near", "far"))
        like, unlike, met = self.logits(ours, near, 3), self.logits(ours, far, 4), far.keys["mask"]
        apart = self.weight_near * softplus(-unlike) + (1 - self.weight_near) * softplus(unlike)
        share_far = met / met.sum(1, keepdim=True).clamp_min(1)
        total = (softplus(-like).mean(1) + (apart * share_far).sum(1)).sum() / 2
        count, negatives = (exact(total.new_tensor(float(n))) for n in (len(ours), int(met.sum())))
        chance = math.log(2) * (count + exact(share_far.sum())) / 2
        return {"contrast": LossTerm(total, count, negatives=negatives, chance=chance)}

    def logits(self, ours: Embeddings, others: Embeddings, number: int) -> Tensor:
        """What the discriminator says of each window beside each of its others, (B, pairs)."""
        hidden = self.enter(torch.cat([ours.z[:, None].expand_as(others.z), others.z], 2)).relu()
        if self.training and self.dropout:
            drawn_BH = uniform(self.streams.of_rows(ours.keys["id"], number), hidden[0].numel() if len(hidden) else 0)
            hidden = hidden * (drawn_BH.view_as(hidden) >= self.dropout) / (1 - self.dropout)
        return self.leave(hidden)[..., 0]

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Windows with the first of their near ones."""
        near = self.having(out["near"])
        return [(self.having(out["window"]), Embeddings(near.z[:, 0], near.keys))]
