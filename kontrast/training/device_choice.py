"""Device by its name on the command line."""

import torch

from kontrast.core.errors import UserError
from kontrast.training.launcher import usual_device


def device_named(name: str) -> torch.device:
    """The device of that name, tried out; "auto" is the usual one of this machine.

    Raises:
        UserError: no such name, or no such device here.
    """
    try:
        device = usual_device() if name == "auto" else torch.device(name)
    except RuntimeError as error:
        raise UserError(f"no device is called '{name}'; expected auto, cpu, cuda, cuda:1 or mps.") from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device '{name}' here ({str(error).splitlines()[0]}); use --device cpu.") from error
    return device
