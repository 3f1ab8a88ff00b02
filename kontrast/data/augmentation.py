"""The contract of an augmentation: a random change of each row of a batch, from that row's own random numbers."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from kontrast.core import factory
from kontrast.core.choice import Choice
from kontrast.core.containers import Data
from kontrast.core.random_streams import Streams
from kontrast.data.view import Role

AugmentationChoice = Annotated[Choice, "augmentations"]
_BRANCH = 1000  # of a row's random numbers: apart from those that modalities draw for themselves


class Augmentation(ABC):
    """Changes what a modality's own augmentation gave: images (B, C, H, W) or series (B, C, T), normalised.

    Constructor parameters are settings. A row's result depends on that row and its streams alone, so that it is the
    same in any batch and after a resume: draw by `random_streams.uniform(streams.view_B, n)`, never by `torch.rand`.
    """

    ROOM = "augmentations"

    roles: ClassVar[frozenset[Role]] = frozenset({"global", "local", "strong"})
    """Roles of the views that it changes; weak, context and original views stay as the modality made them."""

    @abstractmethod
    def __call__(self, x: Data, streams: Streams) -> Data:
        """Returns the changed rows; shape, type and device stay, and `x` may be overwritten.

        Args:
            x: Rows of a batch, (B, ...) float, in which NaN marks what is absent in a series; or B graphs.
            streams: Random streams: `view_B` for what differs between views, `row_B` for what all views of a row
                share, `step_B` for what all rows of a step share.
        """


def augmentation_of(chosen: Choice | None) -> Augmentation | None:
    """The augmentation of that name, if one is chosen."""
    return None if chosen is None else factory.build("augmentations", chosen.name, chosen.settings)


def applied(augmentation: Augmentation | None, x: Data, streams: Streams, role: Role = "global") -> Data:
    """The rows, changed where there is an augmentation for this role."""
    if augmentation is None or role not in augmentation.roles:
        return x
    return augmentation(x, streams.fork(_BRANCH))


def streams_of(key_B: Tensor, row_B: Tensor | None = None, step_B: Tensor | None = None) -> Streams:
    """The streams that `Modality.augment` was given.

    Args:
        key_B: (B,) int64, a stream per row and view.
        row_B: (B,) int64, a stream per row; None: that of the view.
        step_B: (B,) int64, a stream per step; None: one that is the same in all steps.
    """
    return Streams(key_B, key_B if row_B is None else row_B, torch.zeros_like(key_B) if step_B is None else step_B)
