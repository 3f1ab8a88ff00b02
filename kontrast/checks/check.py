"""`check_loss`: the checks of this project's own losses, for any loss."""

import copy
import inspect
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from kontrast.checks import contrasting, pairing
from kontrast.checks.processes import equal_to_one
from kontrast.checks.results import Broken, Doubt, Finding, Make, Property, near, run_check
from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.preference_loss import PreferenceLoss

CONTRACTS: dict[type, dict[str, Property]] = {
    ContrastiveLoss: contrasting.PROPERTIES,
    AlignmentLoss: pairing.PROPERTIES,
    ClusteringLoss: pairing.OF_ASSIGNMENTS,
    PreferenceLoss: pairing.PROPERTIES,
}


def check_loss(
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    worlds: Sequence[int] = (2, 3),
    progress: Callable[[Finding], None] | None = None,
) -> list[Finding]:
    """Findings on a loss: contract, settings, and each property that losses must have.

    A loss is right if no finding failed; a warning is mostly a mistake, but may be intended. In a script, call it under
    `if __name__ == "__main__":`, since it starts processes.

    Args:
        name: A loss of this project (`infonce`) or your own (`my_lab.ideas:MyLoss`).
        settings: Settings of the loss.
        worlds: Numbers of processes to compare with one, on this machine; each takes seconds.
        progress: Called with every finding as it comes.

    Returns:
        The findings: first the contract (ContrastiveLoss, AlignmentLoss, ClusteringLoss or PreferenceLoss), last the
            processes.

    Raises:
        UserError: an unknown name, a class of no contract, or a wrong setting.
    """
    chosen = dict(settings or {})
    contract = contract_of(name)
    factory.build("losses", name, chosen)  # a wrong setting is reported before any check runs

    def make() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return factory.build("losses", name, chosen)

    def contracted(_: Make) -> str:
        return f"{contract.__name__}, {contract.__module__}"

    properties = {"contract": contracted, "settings": partial(settings_travel, name), **CONTRACTS[contract]}
    for world in worlds:
        properties[f"{world} processes = 1"] = partial(_on_processes, name, chosen, world)
    findings = []
    with torch.random.fork_rng(devices=[]):
        for title, holds in properties.items():
            findings.append(run_check(title, holds, make))
            if progress is not None:
                progress(findings[-1])
    return findings


def contract_of(name: str) -> type:
    """Contract that a loss derives from.

    Raises:
        UserError: the class derives from none.
    """
    made = registry.load("losses", name)
    for contract in CONTRACTS:
        if inspect.isclass(made) and issubclass(made, contract):
            return contract
    words = ", ".join(f"{contract.__name__} ({contract.__module__})" for contract in CONTRACTS)
    raise UserError(f"'{name}' is no loss; expected a class that derives from one of {words}.")


def settings_travel(name: str, make: Make) -> str:
    """Checks that a loss can be copied and pickled, and its settings stored."""
    loss = make()
    for what, travel in (("copied", copy.deepcopy), ("pickled", lambda loss: pickle.loads(pickle.dumps(loss)))):
        try:
            twin = travel(loss)
        except Exception as error:  # any exception is a finding
            raise Broken(f"cannot be {what}: {type(error).__name__}: {error}") from error
        near(f"when {what}, its state", twin.state_dict().values(), loss.state_dict().values(), relative=0, absolute=0)
    made = registry.load("losses", name)
    parameters = list(inspect.signature(made).parameters.values())
    placed = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if placed:
        raise Doubt(f"{', '.join(placed)} may be given by position; write `*` before the settings")
    for key, _, default in factory.settings_of(made):
        try:
            json.dumps(None if default is inspect.Parameter.empty else default)
        except TypeError as error:
            raise Doubt(f"the default of {key} does not go to experiment.json: {error}") from error
    return ", ".join(key for key, _, _ in factory.settings_of(made)) or "none"


def _on_processes(name: str, settings: Mapping[str, Any], world: int, make: Make) -> str:
    return equal_to_one(name, settings, world)
