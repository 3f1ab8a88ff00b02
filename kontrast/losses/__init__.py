"""Every loss as a torch module, `kt.losses.NTXent(temperature=0.2)(z1, z2)`, and as a function, `kt.losses.functional`.

A module is a file of `losses/modules/`; nothing is imported before it is used. `kontrast list losses` shows them all,
`kontrast show NTXent` one.
"""

import importlib
from pathlib import Path

_HOME = Path(__file__).parent


def __getattr__(name: str) -> object:
    """A loss by the name of its class, or a file of this folder."""
    files = {path.stem.replace("_", ""): path.stem for path in (_HOME / "modules").glob("[a-z]*.py")}
    if name[:1].isupper() and name.lower() in files:
        made = vars(importlib.import_module(f"kontrast.losses.modules.{files[name.lower()]}"))
        if name in made:
            return made[name]
    elif name.isidentifier() and ((_HOME / f"{name}.py").exists() or (_HOME / name / "__init__.py").exists()):
        return importlib.import_module(f"kontrast.losses.{name}")
    raise AttributeError(_unknown(name))


def __dir__() -> list[str]:
    """The classes, and the module of functions."""
    return [*_classes(), "functional"]


def _classes() -> list[str]:
    from kontrast.core import find

    return sorted(kind.attribute for kind in find.kinds("modules").values())


def _unknown(name: str) -> str:
    """Private names are asked for by Python itself, and quickly answered."""
    words = f"module 'kontrast.losses' has no attribute '{name}'"
    if name.startswith("_"):
        return words
    from kontrast.core.errors import did_you_mean

    there = {one.lower(): one for one in _classes()}
    alike = there.get(name.replace("_", "").lower())
    return f"{words}; did you mean '{alike}'?" if alike else words + did_you_mean(name, there.values())
