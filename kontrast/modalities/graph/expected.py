"""What augmentations of graphs expect."""

from kontrast.core.containers import Data
from kontrast.core.errors import UserError
from kontrast.modalities.graph.graphs import Graphs


def graphs(name: str, x: Data) -> Graphs:
    """The view, which must hold graphs.

    Raises:
        UserError: it does not.
    """
    if isinstance(x, Graphs):
        return x
    raise UserError(f"{name}: expected graphs, found rows of {x.ndim - 1} axes. Leave it out of this view.")
