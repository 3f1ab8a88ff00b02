"""A class per row, for SupCon, ArcFace, triplets and all that use `label`."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Label(Codes):
    """Class of a row.

    The key is int64: the index of the row's class among the classes of the training rows, from 0. A row without a
    class, and each row that does not train, has a negative number of its own.
    """

    recipe = "supcon"

    def facts(self) -> Mapping[str, Any]:
        """Number of `classes`, their `names` and `counts` (training rows of each)."""
        return {"classes": len(self._names), "names": self._names, "counts": self._counts}
