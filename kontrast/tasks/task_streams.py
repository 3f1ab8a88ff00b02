"""Random numbers of a task that makes views itself: of a step, and of a step's rows."""

import torch
from torch import Tensor, nn

from kontrast.core import random_streams
from kontrast.core.clock import Clock


class TaskStreams(nn.Module):
    """Random numbers that depend only on the run's seed, the step and, if asked, the row.

    All ranks and passes draw the same, and a resumed run goes on with them. The seed is drawn where weights are, so it
    follows the seed of the run, and is kept with the weights. Call `begin` from the task's own.
    """

    seed: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seed", torch.randint(1 << 62, ()))
        self.now = (0, 0)

    def begin(self, clock: Clock) -> None:
        """Goes on to a step."""
        self.now = int(self.seed), clock.step

    def of_rows(self, ids_B: Tensor, number: int) -> Tensor:
        """A stream per row, (B,) int64, for `random_streams.uniform` and its like.

        Args:
            ids_B: (B,) int64, ids of the samples.
            number: Tells several streams of a row apart, from 0.
        """
        return random_streams.key(*self.now, ids_B, number)

    def of_step(self, n: int) -> list[int]:
        """n draws that all rows of the step share, whole numbers below 2^24 for `random_streams.share`."""
        return random_streams.drawn(random_streams.step_keys(*self.now, [0]), n)[0].tolist()
