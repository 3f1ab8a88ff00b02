"""Rotation: by which quarter turn an image was rotated is predicted from the encoder's features."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.random_streams import drawn, share
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.tasks.prediction import Prediction
from kontrast.tasks.task import Output
from kontrast.tasks.task_streams import TaskStreams

TURNS = 4  # of 90 degrees


class Rotation(Prediction):
    """Turns each image by 0, 90, 180 or 270 degrees, and predicts the turn.

    Take it beside a contrast, for pictures that have an upright side; images without one (tissue, satellites) teach
    nothing. The turn of a row is drawn anew in each step. The paper shows the encoder all four turns of an image in
    each step, at four times the cost. The served embedding is the encoder's.

    Args:
        encoders: Facts of the encoder.
        hidden: Width of the head's hidden layer; 0 for a linear head, as in the paper.

    Raises:
        UserError: The field holds no images.

    Equation:
        L = -log softmax(s)_turn

    Reference:
        Gidaris et al. 2018, arXiv:1803.07728.

    Example:
        >>> Rotation(EncoderInfo({"image": 64}, modalities={"image": "image"})).head.width
        4
    """

    role = "weak"

    def __init__(self, encoders: EncoderInfo, *, hidden: int = 0) -> None:
        super().__init__(encoders, views=1, hidden=hidden, width=TURNS)
        encoders.expect_axes(self.field, "BCHW", "task 'rotation' turns images")
        self.streams = TaskStreams()

    def begin(self, clock: Clock) -> None:
        """Goes on to the draws of the step."""
        self.streams.begin(clock)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Scores of the four turns, (B, 4), and the key `turn` of each row."""
        ((name, view),) = batch.views.items()
        turn = share(drawn(self.streams.of_rows(batch.keys["id"], 0), 1)[:, 0], TURNS)
        made = View(self.field, turned(view.data, turn), {**view.keys, "turn": turn})
        seen = encoders(Batch({name: made}, batch.keys), [name])
        found = self.through(self.head, seen, batch, together=encoders.together)
        return {key: Output(out.z, name, {"turn": turn}) for key, out in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Cross-entropy of the images of this rank."""
        rows = self.stacked(out)
        count = exact(torch.as_tensor(len(rows), device=rows.z.device))
        loss = F.cross_entropy(rows.z, rows.keys["turn"], reduction="sum")
        return {"turn": LossTerm(loss, count, chance=count * math.log(TURNS))}


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """Square images (B, C, S, S), each turned counter-clockwise by its number of quarters, (B,)."""
    quarters = torch.stack([x.rot90(k, (-2, -1)) for k in range(TURNS)])
    return quarters[turn, torch.arange(len(x), device=x.device)]
