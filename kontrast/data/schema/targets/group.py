"""A group per row (patient, domain, site, camera), for relations within and across groups; it splits the rows too."""

from collections.abc import Mapping
from typing import Any

from kontrast.data.schema.target import Codes


class Group(Codes):
    """The group of a row.

    The key is int64: the place of its group among the groups of the training rows, from 0. A row without one, and each
    row that does not train, has a negative number of its own.
    """

    def facts(self) -> Mapping[str, Any]:
        """`groups`: their number in training."""
        return {"groups": len(self._names)}
