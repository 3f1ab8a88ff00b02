"""Something chosen by name, with its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kontrast.core.errors import UserError


@dataclass(frozen=True)
class Choice:
    """Something chosen by name, with its settings: {"name": "simclr", "temperature": 0.2}.

    A setting that is itself a choice says in its annotation which room it is chosen from:
    `loss: Annotated[Choice, "losses"] = Choice("infonce")`.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, *sorted(self.settings)))  # values may be lists and tables, which have no hash


def choice(value: Any, where: str = "choice") -> Choice:
    """A Choice from a name, from {"name": ..., settings}, or from a Choice.

    Raises:
        UserError: anything else.
    """
    if isinstance(value, Choice):
        return value
    if isinstance(value, str):
        return Choice(value)
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise UserError(f"{where} is {value!r}; expected a name or an object with a name.")
    return Choice(value["name"], {k: v for k, v in value.items() if k != "name"})
