"""A group per row (patient, site, camera), for relations and to split the rows."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Group(Codes):
    """Group of a row.

    The key is int64: the index of the row's group among the groups of the training rows, from 0. A row without a group,
    and each row that does not train, has a negative number of its own.
    """

    def facts(self) -> Mapping[str, Any]:
        """Number of `groups` in training."""
        return {"groups": len(self._names)}
