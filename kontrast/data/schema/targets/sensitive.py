"""A sensitive attribute (sex, age group, ethnicity): what embeddings are not to tell apart, as FSCL has it."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Sensitive(Codes):
    """The sensitive attribute of a row.

    The key is int64: the place of its value among the values of the training rows, from 0. A row without one, and each
    row that does not train, has a negative number of its own.
    """

    recipe = "fscl"

    def facts(self) -> Mapping[str, Any]:
        """`groups` (number of values), `names` and `counts` (rows of each, in training)."""
        return {"groups": len(self._names), "names": self._names, "counts": self._counts}
