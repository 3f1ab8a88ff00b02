"""State dict: the encoders' weights as plain safetensors, to load into your own network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kontrast.exports.export import Export, Subject
from kontrast.runs.build import tower_of
from kontrast.runs.folder.folder import save_tensors


class StateDict(Export):
    """Weights of each encoder as ENCODER.safetensors; README.md lists names and shapes.

    The files hold the encoders' `state_dict()` and need only torch and safetensors: no code, no pickle, no TorchScript.

    Args:
        heads: Whether to write tasks.safetensors with projection heads and other learned state. Default: False.
    """

    def __init__(self, *, heads: bool = False) -> None:
        self.heads = heads

    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Writes a file per encoder, and README.md."""
        model, described, lines = subject.model, {}, []
        towers = {tower_of(model.experiment, field): field for field in model.fields}
        parts = {tower: model.learner.encoders.encoder(field).state_dict() for tower, field in towers.items()}
        if self.heads:
            parts["tasks"] = dict(model.learner.tasks.state_dict())
        for number, (name, tensors) in enumerate(parts.items()):
            file = f"{name}.safetensors" if name.isidentifier() else f"tower-{number}.safetensors"
            save_tensors(tensors, folder / file, {"format": "pt"})
            count = sum(value.numel() for value in tensors.values())
            described[file] = f"{len(tensors)} tensors, {count:,} numbers"
            chosen = model.experiment.encoders.get(name)
            what = f"encoder `{chosen.name}`, settings {chosen.settings}" if chosen else "heads and the like"
            lines += [f"## {file}", "", f"{name}: {what}.", "", "| name | shape | type |", "|---|---|---|"]
            lines += [f"| {n} | {list(v.shape)} | {str(v.dtype).removeprefix('torch.')} |" for n, v in tensors.items()]
            lines.append("")
        readme = [
            "# Weights",
            "",
            "    from safetensors.torch import load_file",
            f'    load_file("{next(iter(described))}")',
            "",
        ]
        (folder / "README.md").write_text("\n".join([*readme, *lines]), encoding="utf8")
        return described
