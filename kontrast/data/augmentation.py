"""The contract of an augmentation: a random change of each row of a batch, from that row's own random numbers."""

from abc import ABC, abstractmethod
from typing import Annotated

from torch import Tensor

from kontrast.core import factory, random_streams
from kontrast.core.choice import Choice

AugmentationChoice = Annotated[Choice, "augmentations"]
_BRANCH = 1000  # of a row's random numbers: apart from those that modalities draw for themselves


class Augmentation(ABC):
    """Changes what a modality's own augmentation gave: images (B, C, H, W) or series (B, C, T), normalised.

    Constructor parameters are settings. A row's result depends on that row and its key alone, so that it is the same in
    any batch and after a resume: draw by `random_streams.uniform(key_B, n)`, never by `torch.rand`.
    """

    ROOM = "augmentations"

    @abstractmethod
    def __call__(self, x: Tensor, key_B: Tensor) -> Tensor:
        """Returns the changed rows; shape, type and device stay, and `x` may be overwritten.

        Args:
            x: Rows of a batch, (B, ...) float; NaN marks what is absent in a series.
            key_B: One random stream per row, (B,) int64.
        """


def augmentation_of(chosen: Choice | None) -> Augmentation | None:
    """The augmentation of that name, if one is chosen."""
    return None if chosen is None else factory.build("augmentations", chosen.name, chosen.settings)


def applied(augmentation: Augmentation | None, x: Tensor, key_B: Tensor) -> Tensor:
    """The rows, changed where there is an augmentation."""
    return x if augmentation is None else augmentation(x, random_streams.fork(key_B, _BRANCH))
