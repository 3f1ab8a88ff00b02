"""ONNX: one graph per field from raw inputs to unit-length embeddings, for any runtime and language."""

import copy
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kontrast.core.errors import UserError, needs
from kontrast.core.version import VERSION
from kontrast.data.export_entry import ExportEntry
from kontrast.data.modality import Modality
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.exports.export import Export, Subject
from kontrast.runs.build import tower_of
from kontrast.runs.model import Model
from kontrast.training.learner import Learner

CHECKED = 32  # rows whose embeddings are compared with the run's own
OUTPUT = "embeddings"  # not "embedding", which torch gives to the lookup operation
ALIKE = 0.999  # least cosine with the run's own embeddings


class Onnx(Export):
    """ONNX graph per field with normalisation, encoder, pooling, projection and scaling to length one.

    Writes FIELD/model.onnx and FIELD/metadata.json, which describes inputs and outputs (see `ExportEntry`); a single
    field needs no folder of its own. The batch size is free. Embeddings of up to 32 rows by onnxruntime are compared
    with the run's own; an export with a cosine below 0.999 is refused.

    Args:
        field: Field to export. None: all fields.
        opset: Version of the standard operators. None: the one that torch writes.
    """

    def __init__(self, *, field: str | None = None, opset: int | None = None) -> None:
        self.field, self.opset = field, opset

    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Writes a folder per field, or a single field directly into `folder`."""
        needs("onnx", "export")
        needs("onnxscript", "export")
        fields = subject.fields(self.field)
        described = {}
        for i, field in enumerate(fields):
            here = folder if len(fields) == 1 else folder / _slug(field, i)
            here.mkdir(exist_ok=True)
            parity = self._field(subject, field, here)
            described[field] = (
                f"{here.relative_to(folder) / 'model.onnx'}: max |difference| {parity['largest_difference']:.1e}, "
                f"least cosine {parity['least_cosine']:.7f}, over {parity['rows']} {parity['of']}"
            )
        return described

    def _field(self, subject: Subject, field: str, folder: Path) -> dict[str, Any]:
        view = subject.model.experiment.views[field].name
        entry = _entry(subject.model, field)
        target = folder / "model.onnx"
        opset = _recorded(subject.model, field, entry, self.opset, target)
        packed = subject.rows(field, CHECKED)
        of = "rows of the data" if packed else "made-up rows"
        parity: dict[str, Any] = _parity(subject.model, field, entry, packed or entry.made_up(CHECKED), target)
        parity["of"] = of
        if parity["least_cosine"] < ALIKE:
            raise UserError(
                f"onnx: the graph of '{field}' is not true to the run: its embeddings have a cosine of only "
                f"{parity['least_cosine']:.4f} with the run's own. Please report this with experiment.json."
            )
        facts = {
            "kontrast": VERSION,
            "field": field,
            "modality": view,
            "inputs": {name: list(axes) for name, axes in entry.axes.items()},
            "how": entry.words,
            "output": {OUTPUT: ["batch", parity.pop("width")]},
            "normalised": True,
            "opset": opset,
            "parity": parity,
        } | entry.beside(folder)
        (folder / "metadata.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
        return parity


def _entry(model: Model, field: str) -> ExportEntry:
    """Inputs of a field's graph.

    Raises:
        UserError: its modality has none.
    """
    entry = model.modalities[field].export_entry()
    if entry is None:
        kind = model.experiment.views[field].name
        raise UserError(
            f"onnx: {kind} has no form that a graph can take, so '{field}' cannot be written; expected "
            "another field (--field NAME). The weights alone: --to state-dict."
        )
    return entry


class _Whole(nn.Module):
    """The graph from raw inputs to embeddings (B, D) of length one."""

    def __init__(self, entry: ExportEntry, learner: Learner, field: str) -> None:
        super().__init__()
        self.entry, self.learner, self.field = entry, learner, field

    def forward(self, *inputs: Tensor) -> Tensor:
        return F.normalize(self.learner.embed(self.field, self.entry(*inputs)).float(), dim=1)


class _Traced(nn.Module):
    """Puts an encoder's `traced`, which can be recorded as a graph, in the place of its `forward`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Features:
        return Features(self.encoder.traced(x))


def _recorded(model: Model, field: str, entry: ExportEntry, opset: int | None, target: Path) -> int:
    """Records the graph to `target`; returns its opset."""
    learner = copy.deepcopy(model.learner).eval().requires_grad_(False)
    tower = tower_of(model.experiment, field)
    networks = learner.encoders.networks
    networks[tower] = _Traced(cast(Encoder, networks[tower]))
    named = {axis for axes in entry.axes.values() for axis in axes if isinstance(axis, str)}
    free = {axis: torch.export.Dim(axis, min=1, max=entry.most.get(axis)) for axis in named}
    shapes = tuple({i: free[a] for i, a in enumerate(axes) if isinstance(a, str)} for axes in entry.axes.values())
    inputs = tuple(torch.from_numpy(x) for x in entry.feed(entry.made_up(3)).values())
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            graph = torch.export.export(
                _Whole(entry, learner, field).eval(), inputs, dynamic_shapes={"inputs": shapes}, strict=False
            ).run_decompositions({**torch.export.default_decompositions(), torch.ops.aten.cummax.default: _cummax})
            program = torch.onnx.export(
                graph,
                dynamo=True,
                opset_version=opset,
                input_names=list(entry.axes),
                output_names=[OUTPUT],
                verbose=False,
            )
            assert program is not None  # torch returns the program if it gets no file name
            program.save(str(target))
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        name, why = model.experiment.encoders[tower].name, str(error).splitlines()[0][:200]
        raise UserError(
            f"onnx: the encoder '{name}' of '{field}' cannot be written as a graph ({why}). An encoder whose `forward` "
            "looks at its numbers needs a `traced` that does not. The weights alone: --to state-dict."
        ) from error
    return program.model.opset_imports[""]


def _cummax(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Cumulative maximum from operations that ONNX has; memory grows with the square of the length."""
    x = x.movedim(dim, -1)
    before = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool, device=x.device).tril()
    largest = x.unsqueeze(-2).masked_fill(~before, -torch.inf).max(-1)
    return largest.values.movedim(-1, dim), largest.indices.movedim(-1, dim)


def _parity(model: Model, field: str, entry: ExportEntry, packed: list[np.ndarray], target: Path) -> dict[str, Any]:
    """Compares embeddings by onnxruntime with the run's own, for a single row and a batch."""
    runtime = needs("onnxruntime", "export")
    session = runtime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    modality: Modality = model.modalities[field]
    want = model.embed_views(field, modality.preprocess(modality.collate(packed))).numpy()
    parts = [part for part in (packed[:1], packed[1:]) if part]
    found = np.concatenate([session.run(None, entry.feed(part))[0] for part in parts])
    return {
        "rows": len(packed),
        "width": want.shape[1],
        "largest_difference": float(np.abs(found - want).max()),
        "least_cosine": float((found.astype(np.float64) * want).sum(1).min()),
    }


def _slug(field: str, number: int) -> str:
    """Folder name that is safe for any field name."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in field).strip("-")
    return plain if plain == field else f"{plain or 'field'}-{number}"
