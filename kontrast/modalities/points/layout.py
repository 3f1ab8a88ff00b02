"""What the columns after the coordinates are, and which of them the encoder sees.

Axis letters: N points, C columns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, UserError
from kontrast.modalities.points.cloud import Cloud

_WIDTHS = {"normals": 3, "colours": 3, "other": 1}
_UNIT = 0.02  # by which the length of a normal may differ from 1
_MOST = 0.9  # share of values that decides
_BYTE = 255.0


@dataclass(frozen=True)
class Layout:
    """Columns of a data set.

    Attributes:
        guessed: Roles of the columns of arrays that do not tell them, by their values.
        seen: Roles that the encoder sees, in this order: "normals", "colours", "other".
        bytes_: Whether such arrays hold colours from 0 to 255.
        mean: Mean of each "other" column over the training rows.
        std: Its standard deviation.
    """

    guessed: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    bytes_: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        """Numbers per point that the encoder sees."""
        return 3 + sum(len(self.mean) if role == "other" else _WIDTHS[role] for role in self.seen)

    @property
    def words(self) -> str:
        """What a point is made of."""
        return " and ".join(["coordinates", *self.seen])

    def columns(self, cloud: Cloud) -> np.ndarray:
        """(N, C): coordinates, and what the encoder sees beside them; colours from -1 to 1, others standardised.

        Raises:
            Unreadable: a cloud that lacks what the training rows have.
        """
        parts = {**split(cloud, self.guessed, self.bytes_)}
        found = [cloud.points[:, :3]]
        for role in self.seen:
            part = parts.get(role)
            if part is None or (role == "other" and part.shape[1] != len(self.mean)):
                raise Unreadable(f"has other columns than the training rows, which hold {self.words}")
            part = 2 * part - 1 if role == "colours" else part
            found.append((part - np.array(self.mean)) / np.array(self.std) if role == "other" else part)
        return np.hstack(found)

    def state(self) -> dict[str, Any]:
        """The layout as plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    @staticmethod
    def restored(state: Mapping[str, Any]) -> "Layout":
        """The layout of `state`."""
        lists = {name: tuple(state[name]) for name in ("guessed", "seen", "mean", "std")}
        return Layout(**lists, bytes_=bool(state["bytes_"]))


def layout(clouds: Sequence[Cloud], normals: bool | None, colours: bool | None) -> Layout:
    """Columns that the training rows hold.

    Args:
        clouds: A sample of the training rows.
        normals: Whether the encoder sees normals; None: if all rows store some. Those of the triangles of a mesh are
            used only if this is True.
        colours: Likewise.

    Raises:
        UserError: normals or colours are asked for, and the rows have none.
    """
    untold = [cloud for cloud in clouds if cloud.roles is None]
    width = Counter(cloud.points.shape[1] for cloud in untold).most_common(1)[0][0] if untold else 3
    values = np.concatenate([c.points[:256, 3:] for c in untold if c.points.shape[1] == width] or [np.zeros((0, 0))])
    guessed = guessed_roles(values)
    bytes_ = bool(values.size) and float(values.max()) > 1 and "colours" in guessed
    parts = [(cloud, split(cloud, guessed, bytes_)) for cloud in clouds]
    seen = []
    for role, asked in (("normals", normals), ("colours", colours)):
        stored = sum(role in part and not (role == "normals" and cloud.derived and not asked) for cloud, part in parts)
        if asked and not stored:
            raise UserError(f"points: {role}=true, but no row holds {role}. Leave the setting out.")
        if asked or (asked is None and stored >= _MOST * len(parts)):
            seen.append(role)
    others = [part["other"] for _, part in parts if "other" in part]
    if len(others) >= _MOST * len(parts) and len({one.shape[1] for one in others}) == 1:
        every = np.concatenate(others)
        std = every.std(0)
        return Layout(guessed, (*seen, "other"), bytes_, tuple(every.mean(0).tolist()),
                      tuple(np.where(std > 0, std, 1.0).tolist()))  # fmt: skip
    return Layout(guessed, tuple(seen), bytes_)


def split(cloud: Cloud, guessed: tuple[str, ...], bytes_: bool) -> dict[str, np.ndarray]:
    """Columns after the coordinates by role, with colours from 0 to 1; none if they are not as guessed."""
    roles = guessed if cloud.roles is None else cloud.roles
    if 3 + sum(_WIDTHS[role] for role in roles) != cloud.points.shape[1]:
        return {}
    found: dict[str, np.ndarray] = {}
    start = 3
    for role in roles:
        part = cloud.points[:, start : start + _WIDTHS[role]]
        start += _WIDTHS[role]
        part = part / _BYTE if role == "colours" and cloud.roles is None and bytes_ else part
        found[role] = np.hstack([found[role], part]) if role in found else part
    return found


def guessed_roles(values: np.ndarray) -> tuple[str, ...]:
    """Roles of the columns after the coordinates by their values (N, C - 3), three columns at a time."""
    roles: list[str] = []
    at = 0
    while at < values.shape[1]:
        three = values[:, at : at + 3]
        if three.shape[1] == 3 and "normals" not in roles and _unit(three):
            roles.append("normals")
        elif three.shape[1] == 3 and "colours" not in roles and three.min() >= 0 and three.max() <= _BYTE:
            roles.append("colours")
        else:
            roles.append("other")
        at += _WIDTHS[roles[-1]]
    return tuple(roles)


def _unit(three: np.ndarray) -> bool:
    return bool((np.abs(np.linalg.norm(three, axis=1) - 1) < _UNIT).mean() > _MOST and three.min() < 0)
