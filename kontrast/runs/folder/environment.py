"""The environment of a run: versions, machine, command; without user name or host name."""

import importlib.metadata
import os
import platform
import sys
from typing import Any

from kontrast.core.version import VERSION

NOTED = (
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "timm",
    "tokenizers",
    "transformers",
    "peft",
)


def environment(command: str, device: str, processes: str) -> dict[str, Any]:
    """Content of environment.json.

    Args:
        command: The command or call that started the run.
        device: Name of the device.
        processes: Number of processes and strategy in words, "" for a single one.
    """
    versions = {"kontrast": VERSION}
    for name in NOTED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": command,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "device": device,
        "processes": processes or "1",
        "versions": versions,
        "executable": os.path.basename(sys.executable),
    }
