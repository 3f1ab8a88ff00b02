"""TS-TCC: the past of one view of a series predicts the next latents of the other view; contexts of both agree."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.choice import Choice
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import LARGE, WHOLE, Range
from kontrast.core.random_streams import share
from kontrast.core.ranks import Ranks
from kontrast.data.augmentation import AugmentationChoice
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.head import Head
from kontrast.losses.between_views import between_views
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.parts import where_present
from kontrast.tasks.steps_ahead import following, instants_of, steps_ahead
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams

_LAYERS, _HEADS, _INSIDE = 4, 4, 64  # of the authors' transformer


class TSTCC(Task):
    """Predicts the next latents of one view of a series from the past of the other, and contrasts both contexts.

    Take it for series of sensors, whose meaning survives scaling and shuffled parts. The weak view is scaled, the
    strong one cut into segments in another order, with noise; latents are normalised. Up to an instant drawn per step,
    as a share of each row, a transformer turns the latents of a view into a context. Linear maps of it predict the
    latents that follow in the other view, among those of other rows at their instants. Contexts, through a head,
    attract those of the other view of their row (NT-Xent). Duplicates are no negatives.

    The encoder's output is evaluated and served. An encoder that sees what follows makes the prediction easier; the
    recipe takes a causal one.

    Args:
        encoders: Facts of the encoder of the one field, which gives a vector per instant.
        steps: Instants ahead that are predicted; 6 as in the authors' code for HAR.
        hidden: Width of the context, divisible by 4; 100 as in that code.
        temperature: Temperature of the cosine between contexts; 0.2 as in that code.
        temporal: Weight of either direction of prediction; 1 as in that code.
        contextual: Weight of the contrast of contexts; 0.7 as in that code.
        weak: Augmentation of the one view.
        strong: Augmentation of the other view.

    Raises:
        UserError: The field is no series, its encoder gives no vector per instant, or `hidden` is not divisible by 4.

    Equation:
        L = temporal (T_weak + T_strong) + contextual C, T_v = mean_ik -log(e^(W_k c_i^v z_i,t+k) / sum_j e^(W_k c_i^v
        z_j,t+k)), c^v contexts of the view v, z latents of the other one, C the NT-Xent of both contexts.

    Reference:
        Eldele et al. 2021, arXiv:2106.14112.

    Example:
        >>> info = EncoderInfo({"ecg": 640}, {"ecg": 128}, modalities={"ecg": "series"})
        >>> sorted(spec.augmentation.name for spec in TSTCC(info).views().values())
        ['jitter_scale', 'permutation']
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        steps: Annotated[int, Range(1, WHOLE)] = 6,
        hidden: Annotated[int, Range(4, WHOLE)] = 100,
        temperature: float = 0.2,
        temporal: Annotated[float, Range(0, LARGE)] = 1.0,
        contextual: Annotated[float, Range(0, LARGE)] = 0.7,
        weak: AugmentationChoice = Choice("jitter_scale"),
        strong: AugmentationChoice = Choice("permutation"),
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        width = encoders.dense.get(self.field)
        encoders.expect_axes(self.field, "BCT", "task 'ts_tcc' predicts instants of series")
        if width is None or width < 4:
            raise UserError(
                f"task 'ts_tcc' needs a vector of 4 or more numbers per instant; the encoder of '{self.field}' gives "
                f"{'none' if width is None else width}. Take another: --encoder {self.field}=tcn."
            )
        if hidden % _HEADS:
            raise UserError(f"task 'ts_tcc': hidden={hidden}; expected a width that {_HEADS} heads divide.")
        self.steps, self.temperature, self.temporal, self.contextual = steps, temperature, temporal, contextual
        self.chosen, self.content = {"weak": weak, "strong": strong}, f"content {self.field}"
        self.enter, self.first = nn.Linear(width, hidden), nn.Parameter(torch.randn(1, 1, hidden))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden, _HEADS, _INSIDE, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(_LAYERS)
        )
        self.ahead = nn.Linear(hidden, steps * width)
        # Contexts have much in common, which a norm over rows takes away; one over features leaves all cosines near 1.
        self.head = Head(in_width=hidden, hidden=width // 2, width=width // 4, norm="batch")
        self.streams, self.draw = TaskStreams(), 0

    def begin(self, clock: Clock) -> None:
        """Draws how much of each row is its past in this step."""
        self.streams.begin(clock)
        [self.draw] = self.streams.of_step(1)

    def views(self) -> dict[str, ViewSpec]:
        """The field twice, with the weak and with the strong augmentation."""
        return {
            "weak": ViewSpec(self.field, "weak", self.chosen["weak"]),
            "strong": ViewSpec(self.field, "strong", self.chosen["strong"]),
        }

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Contexts of both views, predictions made from them, and what followed in either view."""
        here, seen = batch.keys[f"has {self.field}"], encoders(batch, self.views())
        found = {name: instants_of(features, here) for name, features in seen.items()}
        ends = torch.stack([there for _, there in found.values()]).amin(0)
        past = share(self.draw, (ends - self.steps).clamp_min(1))
        at = past.where(ends > 0, -1)[:, None]
        out = {}
        for name, (dense, _) in found.items():
            z = F.normalize(dense, dim=2)
            context = self.context(z, past)
            latents, there = following(z, at, ends, self.steps)
            predicted = self.ahead(context).unflatten(1, (self.steps, -1))
            projected = where_present(self.head, context, here, self.head.width, together=encoders.together)
            out[name] = Output(projected, name)
            out[f"{name} predictions"] = Output(predicted, name, {"mask": there})
            out[f"{name} latents"] = Output(latents, name, {"mask": there})
        return out

    def context(self, z: Tensor, past_B: Tensor) -> Tensor:
        """Summary of the latents (B, P, E) up to an instant of each row: (B, hidden)."""
        z = z[:, : int(past_B.max()) + 1]
        later = torch.arange(-1, z.shape[1], device=z.device) > past_B[:, None]  # the added token is before the first
        h = torch.cat([self.first.expand(len(z), -1, -1), self.enter(z)], 1)
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=later)
        return h[:, 0]

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Predictions from either view against latents of the other, and contexts of one view against the other."""
        terms = {}
        for one, other in (("weak", "strong"), ("strong", "weak")):
            pair = out[f"{one} predictions"], out[f"{other} latents"]
            term = steps_ahead(*pair, ranks, steps=self.steps, content=self.content)
            terms[f"from {one}"] = self.temporal * term
        contexts, same = self.positive_pairs(out)[0], SameKey("id") & ExcludeDuplicates(self.content)
        term = between_views(contexts, ranks, temperature=self.temperature, relation=same)
        return {**terms, "contexts": self.contextual * term}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Contexts of the weak and of the strong view, through the head."""
        here = out["weak"].keys[f"has {self.field}"]
        return [(out["weak"][here], out["strong"][here])]
