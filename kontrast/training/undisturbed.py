"""Evaluation of a module in training that leaves no trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(learner: nn.Module) -> Iterator[None]:
    """Context without gradient, after which modes of modules and random numbers are as before."""
    modes = {module: module.training for module in learner.modules()}
    devices = {p.device for p in learner.parameters() if p.device.type == "cuda"}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=list(devices)):
            learner.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training
