"""What an augmentation of point clouds expects: views (B, C, P) whose first three channels are coordinates."""

from torch import Tensor

from kontrast.core.errors import UserError

_FEWEST = 3  # channels


def expect_points(name: str, x: Tensor) -> None:
    """Refuses what is no view of points.

    Raises:
        UserError: other axes, or fewer than three channels.
    """
    if x.ndim != 3 or x.shape[1] < _FEWEST:
        found = f"rows of {x.ndim - 1} axes" if x.ndim != 3 else f"series of {x.shape[1]} channels"
        raise UserError(
            f"{name}: expected points of three coordinates or more, found {found}. Set it in the modality points, or "
            "take another one here."
        )
