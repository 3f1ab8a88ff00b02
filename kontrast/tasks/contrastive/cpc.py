"""CPC: the past of a series recognises its next latents among those of other rows and times."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import WHOLE, Range
from kontrast.core.random_streams import uniform
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.steps_ahead import following, instants_of, steps_ahead
from kontrast.tasks.task import Output, Task
from kontrast.tasks.task_streams import TaskStreams


class CPC(Task):
    """Predicts the next latents of a series from a recurrent summary of its past.

    Take it for series whose past says something of their future, if nothing may be augmented. The encoder gives a
    latent per instant; a GRU over them gives the context of each. At some random instants of every row, a linear map
    of the context per step ahead is compared with the latent that follows there. Negatives are the latents as many
    steps after the instants drawn in other rows, and elsewhere in the row. Duplicates are no negatives.

    Encoder and context may not see what they predict, so the encoder has to be causal. The further it looks back, the
    more of the past a latent repeats, and the easier it is to predict: the recipe's encoder sees few instants.

    The encoder's output is evaluated and served; the context serves training alone. A gap inside a row counts as time.

    Args:
        encoders: Facts of the encoder of the one field, which is causal.
        steps: Instants ahead that are predicted, each by a map of its own; 12 as in the paper's speech.
        instants: Instants of a row and step that predictions are made at, drawn anew in each step.
        context: Width of the context; 256 as in the paper.

    Raises:
        UserError: The field is no series, or its encoder sees what follows.

    Equation:
        L = mean_itk -log(e^(c_it W_k z_i,t+k) / sum_ju e^(c_it W_k z_j,u+k)), z latents, c contexts, t and u the
        instants drawn in rows i and j, k from 1 to `steps`.

    Reference:
        van den Oord, Li, Vinyals 2018, arXiv:1807.03748.

    Example:
        >>> info = EncoderInfo({"ecg": 640}, {"ecg": 128}, modalities={"ecg": "series"}, causal={"ecg": True})
        >>> CPC(info).views()
        {'ecg': ViewSpec(field='ecg', role='original', augmentation=None, mixing=None)}
    """

    max_fields = 1
    uses = frozenset({"dense"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        steps: Annotated[int, Range(1, WHOLE)] = 12,
        instants: Annotated[int, Range(1, WHOLE)] = 8,
        context: Annotated[int, Range(1, WHOLE)] = 256,
    ) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        width = encoders.dense.get(self.field)
        encoders.expect_axes(self.field, "BCT", "task 'cpc' predicts instants of series")
        if width is None or not encoders.causal.get(self.field):
            raise UserError(
                f"task 'cpc' predicts what follows, and the encoder of '{self.field}' sees it already; expected one "
                f"that is causal: --encoder {self.field}=tcn,causal=true, or {self.field}=dilated_cnn,causal=true."
            )
        self.steps, self.instants = steps, instants
        self.context, self.ahead = nn.GRU(width, context, batch_first=True), nn.Linear(context, steps * width, False)
        self.streams = TaskStreams()

    def begin(self, clock: Clock) -> None:
        """Goes on to the draws of the step."""
        self.streams.begin(clock)

    def views(self) -> dict[str, ViewSpec]:
        """The field without augmentation."""
        return {self.field: ViewSpec(self.field, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Predictions and what followed, (B, instants x steps, E); `mask` says which exist."""
        found = encoders(batch, [self.field])[self.field]
        z, ends = instants_of(found, batch.keys[f"has {self.field}"])
        at = self.drawn(batch.keys["id"], ends, z.shape[1])
        contexts = self.context(z)[0]
        c = contexts.gather(1, at.clamp_min(0)[..., None].expand(-1, -1, contexts.shape[2]))
        latents, there = following(z, at, ends, self.steps)
        predicted = self.ahead(c).unflatten(2, (self.steps, -1)).flatten(1, 2)
        return {
            "predictions": Output(predicted, self.field, {"mask": there}),
            "latents": Output(latents, self.field, {"mask": there}),
        }

    def drawn(self, ids: Tensor, ends: Tensor, length: int) -> Tensor:
        """Random instants of each row that another one follows, all different; -1 for those that it lacks: (B, A)."""
        room = torch.arange(length, device=ids.device) < ends[:, None] - 1
        order = uniform(self.streams.of_rows(ids, 0), length).masked_fill(~room, 2).argsort(dim=1, stable=True)
        at = order.masked_fill(~room.gather(1, order), -1)[:, : self.instants]
        return nn.functional.pad(at, (0, self.instants - at.shape[1]), value=-1)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Predictions of this rank against the latents of all ranks."""
        content = f"content {self.field}"
        term = steps_ahead(out["predictions"], out["latents"], ranks, steps=self.steps, content=content)
        return {"contrast": term}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The first prediction of each row with its latent, of rows that have one."""
        there = out["latents"].keys["mask"][:, 0]
        return [(_first(out["predictions"])[there], _first(out["latents"])[there])]


def _first(rows: Embeddings) -> Embeddings:
    return Embeddings(rows.z[:, 0], {name: key for name, key in rows.keys.items() if name != "mask"})
