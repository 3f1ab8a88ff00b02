"""Network layers besides encoders: heads, proxies, prototypes, memories, temperatures.

`kt.layers.Head`, `kt.layers.Predictor`, `kt.layers.MomentumCopy` and others are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kontrast.layers.head import Head as Head
    from kontrast.layers.momentum import MomentumCopy as MomentumCopy
    from kontrast.layers.predictor import Predictor as Predictor
    from kontrast.layers.prototypes import Prototypes as Prototypes
    from kontrast.layers.proxies import Proxies as Proxies

_HOMES = {
    "Head": "head",
    "Momentum": "momentum",
    "Predictor": "predictor",
    "Prototypes": "prototypes",
    "Proxies": "proxies",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"kontrast.layers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kontrast.layers' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(_HOMES)
