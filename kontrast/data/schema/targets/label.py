"""One class per row, for SupCon, proxies, ArcFace, triplets and all that asks for `label`."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Label(Codes):
    """The class of a row.

    The key is int64: the place of its class among the classes of the training rows, from 0. A row without one, and each
    row that does not train, has a negative number of its own.
    """

    recipe = "supcon"

    def facts(self) -> Mapping[str, Any]:
        """`classes` (their number), `names` and `counts` (rows of each, in training)."""
        return {"classes": len(self._names), "names": self._names, "counts": self._counts}
