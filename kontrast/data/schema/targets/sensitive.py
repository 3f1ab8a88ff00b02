"""A sensitive attribute (sex, age group, ethnicity) that embeddings should not reveal, as in FSCL."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Sensitive(Codes):
    """Sensitive attribute of a row.

    The key is int64: the index of the row's value among the values of the training rows, from 0. A row without a value,
    and each row that does not train, has a negative number of its own.
    """

    recipe = "fscl"

    def facts(self) -> Mapping[str, Any]:
        """Number of values (`groups`), their `names` and `counts` (training rows of each)."""
        return {"groups": len(self._names), "names": self._names, "counts": self._counts}
