"""What losses on pairs of rows share: terms reduced to one scalar, or an error in words."""

from typing import Any

from torch import Tensor

from kontrast.core.embeddings import LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.engine import adapters, input_checks
from kontrast.losses.engine.reduction import reduced


def share(means: dict[str, LossTerm], missing: str) -> Tensor:
    """This process's loss, or an error that names what is missing."""
    try:
        return reduced(Ranks(), means)
    except ValueError as nothing:
        raise UserError(f"{' and '.join(means)}: nothing to compare in this batch, on any rank: {missing}") from nothing


def whole_batch(z1: Tensor, z2: Tensor, loss: AlignmentLoss, **gold: Any) -> Tensor:
    """Value of a loss that needs the rows of all processes, with gold scores as keys of the first side."""
    input_checks.aligned(z1=z1, z2=z2)
    keys = {name.removesuffix("s"): input_checks.amounts(given, z1, name) for name, given in gold.items()}
    rows = {"one": adapters.rows(z1, keys), "two": adapters.rows(z2)}
    mean = loss(*Ranks().gather(rows).values())
    return share({type(loss).__name__.lower(): mean}, "no two pairs have different scores.")
