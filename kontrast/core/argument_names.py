"""Suggestions for unknown arguments of public functions."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from kontrast.core import renamed
from kontrast.core.errors import UserError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def spelled(others: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator that raises UserError for an unknown keyword and names the likeliest one.

    Args:
        others: Name in other libraries -> name here; a value with a dot is a setting.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        known = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name, value in list(kwargs.items()):
                if renamed.ARGUMENTS.get(name) in known:
                    renamed.notice(name, renamed.ARGUMENTS[name])
                    kwargs[renamed.ARGUMENTS[name]] = kwargs.pop(name)
                elif name not in known:
                    raise UserError(f"kontrast.{function.__name__} has no argument '{name}'{_meant(name, value)}")
            return function(*args, **kwargs)

        def _meant(name: str, value: object) -> str:
            here = others.get(name)
            if here is None:
                return did_you_mean(name, known)
            return f"; did you mean {f'settings={{{here!r}: {value!r}}}' if '.' in here else f'{here}={value!r}'}?"

        return checked

    return wrap
