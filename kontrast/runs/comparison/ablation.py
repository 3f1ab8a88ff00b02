"""Ablation: a recipe beside the same with one thing changed, several seeds each, with intervals and verdicts."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kontrast.core import untrusted_json
from kontrast.core.atomic_files import atomic_write
from kontrast.core.errors import UserError
from kontrast.runs.comparison.swap import Arm
from kontrast.runs.folder.folder import Folder
from kontrast.runs.run import Run

RECORD = "arms.json"
_SHAPE = {"begun": dict, "arms": {"*": {"recipe": str, "settings": dict}}, "failed": {"*": str}}

Verdict = Literal["BETTER", "WORSE", "SAME", "HIGHER", "LOWER"]
Train = Callable[[Arm, int, Path], None]
Heard = Callable[[Arm, int, str], None]


@dataclass(frozen=True)
class Ablation:
    """The runs of an ablation, each in a folder of its own: FOLDER/ARM/seed-N.

    Attributes:
        path: The folder.
        arms: The recipe first, then what is compared with it.
        seeds: Seeds of every arm.
        begun: What all runs share: recipe, data, settings, steps; a repeated call must ask for the same.
        given: ARM/seed-N -> folder of a run that was trained before. Default: none.
    """

    path: Path
    arms: Sequence[Arm]
    seeds: Sequence[int]
    begun: Mapping[str, Any]
    given: Mapping[str, Path] = field(default_factory=dict)

    def run(self, train: Train, heard: Heard) -> None:
        """Trains what is not trained yet: all arms with the first seed, then with the second ...

        An arm that cannot be trained to its end (a loss that is not finite) is recorded as failed.

        Args:
            train: Trains an arm with a seed into a folder, or resumes the run in it.
            heard: Called after each run with how it ended, in words.

        Raises:
            UserError: The folder holds another ablation, or a run could not begin.
        """
        failed = self._recorded()
        for seed in self.seeds:
            for arm in self.arms:
                path = self.folder(arm, seed)
                key = _key(arm, seed)
                if key not in failed and not finished(path):
                    try:
                        train(arm, seed, path)
                    except UserError as error:
                        if not Folder(path).metrics.is_file():
                            raise UserError(f"{arm.name}, seed {seed}: {error}") from error
                        failed[key] = str(error)
                        self._record(failed)
                heard(arm, seed, failed.get(key) or Run(path).verdict["words"])

    def folder(self, arm: Arm, seed: int) -> Path:
        """Run folder of an arm with a seed."""
        return self.given.get(_key(arm, seed), self.path / _key(arm, seed))

    def failed(self) -> dict[str, str]:
        """ARM/seed-N -> why that run could not be trained to its end."""
        return dict(self._read()["failed"])

    def _recorded(self) -> dict[str, str]:
        """Notes what is run; refuses a folder of another ablation. Returns the runs that failed before."""
        if not (self.path / RECORD).is_file():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise UserError(f"{self.path} is not empty and holds no ablation; name a new folder with --out.")
            self._record({})
            return {}
        known = self._read()
        other = [
            f"{name} {json.dumps(known['begun'].get(name))}, now {json.dumps(value)}"
            for name, value in self.begun.items()
            if known["begun"].get(name) != value
        ] + [f"another '{arm.slug}'" for arm in self.arms if known["arms"].get(arm.slug, _plain(arm)) != _plain(arm)]
        if other:
            raise UserError(
                f"{self.path} holds another ablation: {'; '.join(other)}. Repeat that one to go on with it, or name a "
                "new folder with --out."
            )
        self._record(known["failed"])
        return dict(known["failed"])

    def _read(self) -> dict[str, Any]:
        file = self.path / RECORD
        return untrusted_json.shaped(untrusted_json.tree(untrusted_json.text(file), str(file)), _SHAPE, str(file))

    def _record(self, failed: Mapping[str, str]) -> None:
        known = self._read()["arms"] if (self.path / RECORD).is_file() else {}
        made = {**known, **{arm.slug: _plain(arm) for arm in self.arms}}
        write(self.path / RECORD, {"begun": self.begun, "arms": made, "failed": failed})


def _key(arm: Arm, seed: int) -> str:
    return f"{arm.slug}/seed-{seed}"


def finished(path: Path) -> bool:
    """Whether a run folder holds scores."""
    return (path / "scores.json").is_file()


def write(path: Path, value: Any) -> None:
    """Writes JSON atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside:
        aside.write_text(untrusted_json.written(value, 2) + "\n", encoding="utf8")


def _plain(arm: Arm) -> dict[str, Any]:
    return {"recipe": arm.recipe, "settings": json.loads(json.dumps(arm.settings))}
