"""Swaps of an ablation: a recipe, and beside it the same with one setting or several changed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kontrast.core.errors import UserError

RECIPE = "recipe"  # a swap of the whole recipe
# All arms and seeds of an ablation share these.
EQUAL = ("seed", "plan.steps", "plan.epochs", "plan.minutes", "source.split_seed", "source.data")
_PAIRS = {"[": "]", "{": "}", "(": ")"}


@dataclass(frozen=True)
class Arm:
    """One setting of an ablation.

    Attributes:
        name: What differs from the recipe, such as `loss=vicreg`; the recipe's name for the recipe itself.
        recipe: Name of the recipe.
        settings: Settings that differ, by dotted name.
    """

    name: str
    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Name of the folder of its runs."""
        return re.sub(r"[^\w.+-]+", "-", self.name).strip("-.")[:60] or "arm"


def arms(recipe: str, swaps: Sequence[str], made: Callable[[str], Any]) -> list[Arm]:
    """The recipe itself, then one arm per value of each swap.

    Args:
        recipe: Name of the recipe.
        swaps: `NAME=VALUE`, or `NAME=V1,V2` for an arm per value, or `A=1 B=2` for one arm with both changed; the name
            `recipe` changes the whole recipe.
        made: Converts the words of a value.

    Raises:
        UserError: A swap is not of that form, changes nothing that may differ, or two arms are the same.
    """
    found = [Arm(recipe, recipe)]
    every = [assignment for swap in swaps for assignment in _assignments(swap)]
    short = _short_names({name for changes in every for name, _ in changes})
    for changes in every:
        settings = {name: made(words) for name, words in changes if name != RECIPE}
        named = next((words for name, words in changes if name == RECIPE), recipe)
        arm = Arm(" ".join(f"{short[name]}={words}" for name, words in changes), named, settings)
        if twin := next((other for other in found if (other.recipe, other.settings) == (named, settings)), None):
            raise UserError(
                f"--swap {arm.name} is the same as {twin.name}; expected each swap to change something else."
            )
        found.append(arm)
    slugs = [arm.slug for arm in found]
    if clash := next((slug for slug in slugs if slugs.count(slug) > 1), None):
        raise UserError(
            f"two swaps would share the folder {clash}; name one of them apart, or ablate them in two calls."
        )
    return found


def _assignments(swap: str) -> Iterator[list[tuple[str, str]]]:
    """(name, words) pairs per arm of a swap."""
    parts = [part for part in _split(swap, " ") if part]
    changes = []
    for part in parts:
        name, equals, words = part.partition("=")
        if not equals or not name or not words:
            raise UserError(
                f"--swap {swap}: expected NAME=VALUE, such as tasks.contrast.loss=supcon or plan.batch=64,128."
            )
        if name in EQUAL:
            raise UserError(f"--swap {swap}: {name} is the same for all arms; expected another setting.")
        changes.append((name, _split(words, ",")))
    if not changes:
        raise UserError("--swap is empty; expected NAME=VALUE, such as tasks.contrast.loss=supcon.")
    if len(changes) > 1 and any(len(values) > 1 for _, values in changes):
        raise UserError(f"--swap '{swap}' changes several settings; expected one value for each of them.")
    for at in range(len(changes[0][1])):
        yield [(name, values[at if len(changes) == 1 else 0]) for name, values in changes]


def _split(words: str, sign: str) -> list[str]:
    """Splits at a sign outside brackets and double quotes."""
    parts, closing, quoted = [""], "", False
    for letter in words:
        quoted ^= letter == '"'
        if not quoted:
            closing = closing + _PAIRS[letter] if letter in _PAIRS else closing
            closing = closing[:-1] if closing.endswith(letter) else closing
        if letter == sign and not quoted and not closing:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _short_names(names: set[str]) -> dict[str, str]:
    """Last part of each dotted name, or the whole name if that is not unique."""
    last = [name.rpartition(".")[2] for name in names]
    return {name: end if last.count(end) == 1 else name for name, end in zip(names, last, strict=True)}
