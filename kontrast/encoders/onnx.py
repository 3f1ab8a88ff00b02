"""A frozen ONNX file as an encoder of sounds or pictures, run by onnxruntime without gradients.

Axis letters: B rows, C channels, N samples, frames or pixels along the last axis, P positions, D width.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.errors import UserError, needs
from kontrast.core.factory import Range
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

_FILE = "model.onnx"
_RATE = 16_000
_PIXELS, _BANDS, _FRAMES = 224, 64, 100  # that are tried where neither the graph nor the data says how many


class ONNX(Encoder):
    """Network of one ONNX file, as it is: nothing in it learns, and no gradient goes through it.

    Take it for embeddings that another library has trained, under a head that learns, or to compare. The graph takes
    one float tensor: sounds as waveforms (B, N) or (B, C, N), or as log-mel (B, C, M, N); pictures (B, C, S, S). Sounds
    of one length are computed together, without padding; if the graph has a fixed length, it hears them part by part.
    Waveforms have mean 0 and deviation 1, pictures the `mean` and `std` of their view: set those of the network. Asks
    the modality for `input=wave` or the graph's bands, or for its image size. The run keeps a copy of the file.

    Args:
        file: The .onnx file, with its weights inside.
        rate: Samples per second that the graph of waveforms expects. Default 16,000.
        output: Name of the output that is taken; None: the first. (B, D) is a vector per row, (B, P, D) one per
            position, (B, D, H, W) a map of them; these are averaged.
        channels: Channels of the data; from the data.
        mels: Mel bands of sounds; from the data.
        size: Side of pictures; from the data.

    Raises:
        UserError: No such file, one that onnxruntime cannot run, a graph of other inputs, or training through it.

    Reference:
        ONNX Runtime, https://onnxruntime.ai.
    """

    digest: Tensor

    def __init__(
        self,
        *,
        file: str,
        rate: Annotated[int, Range(1000, 192_000)] = _RATE,
        output: str | None = None,
        channels: int = 1,
        mels: int | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__()
        self.file, self.rate, self.sound = file, rate, mels is not None
        self.graph = _Graph(file, output)
        shape = self.graph.shape
        middle = {2: [], 3: [channels], 4: [channels, mels or size or _PIXELS]}[len(shape)]
        self.length = shape[-1] if isinstance(shape[-1], int) else None
        last = self.length or (size or _PIXELS if not self.sound else _FRAMES if len(shape) == 4 else rate)
        wanted = [n if isinstance(n, int) else given for n, given in zip(shape[1:-1], middle, strict=True)]
        if wanted != middle:
            raise UserError(
                f"onnx: {file} takes tensors of {_words(shape)}, and the data gives {' x '.join(map(str, middle))} "
                "before the last axis; set the channels, mels or size of the view to those of the graph."
            )
        found = self._run(np.zeros((1, *middle, last), np.float32))
        self.width = found.shape[2]
        parts = self.graph.rank > 2 or (self.sound and self.length is not None)
        self.dense_width = self.width if parts else None
        self.register_buffer("digest", torch.frombuffer(bytearray(self.graph.digest), dtype=torch.uint8))
        self.register_load_state_dict_pre_hook(_same_file)
        self.train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Features:
        """Features of views; of sounds those of one length in one call.

        Args:
            x: (B, C, N) or (B, C, M, N), NaN after the end of a sound; or pictures (B, C, S, S).

        Returns:
            Pooled (B, width), zeros for a row that holds only NaN; dense (B, P, width), of which those before the end
            exist.
        """
        if x.requires_grad:
            raise UserError(
                "onnx: this task needs a gradient through the encoder to its input, and an ONNX file gives none; "
                "expected a task that learns a head on its features."
            )
        count_B = (~x.flatten(1, -2)[:, 0].isnan()).sum(1)
        parts = []
        for count in count_B.unique().tolist():
            rows = (count_B == count).nonzero()[:, 0]
            parts.append((rows, self._encoded(x[rows][..., : count or x.shape[-1]].nan_to_num(0.0))))
        order = torch.cat([rows for rows, _ in parts]).argsort()
        there = count_B[:, None] > 0
        pooled = torch.cat([found.mean(1) for _, found in parts])[order] * there
        if self.dense_width is None or not self.gives_dense:
            return Features(pooled)
        most = max(found.shape[1] for _, found in parts)
        dense = torch.cat([F.pad(found, (0, 0, 0, most - found.shape[1])) for _, found in parts])[order]
        if not self.sound:
            return Features(pooled, dense)
        known = torch.cat([rows.new_full((len(rows),), found.shape[1]) for rows, found in parts])[order]
        mask = (torch.arange(most, device=x.device) < known[:, None]) & there
        return Features(pooled, dense * mask[:, :, None], mask)

    def _encoded(self, x: Tensor) -> Tensor:
        """(B, P, D) of rows of one length."""
        if self.length is None:
            return self._called(x)
        x = F.pad(x, (0, -x.shape[-1] % self.length))
        windows = [self._called(part) for part in x.split(self.length, -1)]
        return torch.cat(windows, 1)

    def _called(self, x: Tensor) -> Tensor:
        given = x.mean(1) if len(self.graph.shape) == 2 else x
        return torch.from_numpy(self._run(given.float().cpu().contiguous().numpy())).to(x.device, x.dtype)

    def _run(self, x: np.ndarray) -> np.ndarray:
        """(B, P, D) of the graph."""
        found = self.graph(x)
        if found.ndim == 4:
            found = found.reshape(*found.shape[:2], -1).transpose(0, 2, 1)
        return np.ascontiguousarray(found[:, None] if found.ndim == 2 else found)

    def traced(self, x: Tensor) -> Tensor:
        """Refuses: a graph cannot hold another one.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"onnx: the encoder is already an ONNX file ({self.file}), so it cannot be written as another; deploy that "
            "file, and the heads with --to state-dict --set heads=true."
        )

    def train(self, mode: bool = True) -> "ONNX":
        """Stays in eval mode, since nothing here learns."""
        return super().train(False)

    def keep(self, folder: Path) -> None:
        """Copies the file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_bytes(self.graph.data)

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """The copy in the run."""
        return {"file": str(folder / _FILE)}

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Waveforms at the rate of the graph, its bands, or its size of pictures.

        Raises:
            UserError: No file is named, or it cannot be read.
        """
        if "file" not in settings:
            raise UserError("onnx: name the file: --encoder audio=onnx,file=model.onnx.")
        shape = _Graph(settings["file"], settings.get("output")).shape
        if len(shape) < 4:
            return {"input": "wave", "rate": settings.get("rate", _RATE)}
        channels, rows, columns = shape[1:]
        asked = {"channels": channels} if isinstance(channels, int) else {}
        if isinstance(rows, int):
            asked["size" if rows == columns else "mels"] = rows
        return asked


class _Graph:
    """A session of onnxruntime on one processor, shared by all copies of the encoder.

    Args:
        file: The ONNX file.
        output: Name of the output; None: the first.
    """

    def __init__(self, file: str, output: str | None) -> None:
        runtime = needs("onnxruntime", "export")
        path = Path(file)
        if not path.is_file():
            raise UserError(f"onnx: there is no file {file}; expected an .onnx file with its weights inside.")
        self.data = path.read_bytes()
        self.digest = hashlib.sha256(self.data).digest()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4
        try:
            self.session = runtime.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own per kind of failure
            raise UserError(
                f"onnx: {file} cannot be run ({_first(error)}); expected a whole ONNX file, with its weights inside."
            ) from error
        inputs, outputs = self.session.get_inputs(), {one.name: one for one in self.session.get_outputs()}
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) not in (2, 3, 4):
            found = ", ".join(f"{one.name} {one.type} of {_words(one.shape)}" for one in inputs)
            raise UserError(
                f"onnx: {file} takes {found}; expected one float tensor of sounds, (B, N), (B, C, N) or (B, C, M, N), "
                "or of pictures, (B, C, S, S)."
            )
        if output is not None and output not in outputs:
            raise UserError(f"onnx: {file} has no output '{output}'; it has {', '.join(outputs)}.")
        self.file, self.input, self.shape = file, inputs[0].name, inputs[0].shape
        self.output = output or next(iter(outputs))
        self.rank = len(outputs[self.output].shape or ())

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The output of a batch, (B, D), (B, P, D) or (B, D, H, W)."""
        batch = self.shape[0] if isinstance(self.shape[0], int) else len(x)
        filled = np.concatenate([x, np.zeros((-len(x) % batch, *x.shape[1:]), np.float32)])
        parts = np.split(filled, len(filled) // batch)
        try:
            found = np.concatenate([self.session.run([self.output], {self.input: part})[0] for part in parts])[: len(x)]
        except Exception as error:
            raise UserError(f"onnx: {self.file} fails on views of {_words(x.shape)}: {_first(error)}") from error
        if found.ndim not in (2, 3, 4) or len(found) != len(x):
            raise UserError(
                f"onnx: output '{self.output}' of {self.file} has the shape {_words(found.shape)} for {len(x)} rows; "
                "expected rows x width, rows x positions x width, or rows x width x height x width of a map."
            )
        return found.astype(np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Graph":
        return self


def _same_file(encoder: ONNX, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Refuses weights of a run that was trained on another file."""
    digest = state.get(f"{prefix}digest")
    if digest is not None and not torch.equal(digest.cpu(), encoder.digest.cpu()):
        raise UserError(
            f"onnx: {encoder.file} is not the file that this run was trained with; bring that one back, or train anew."
        )


def _words(shape: Sequence[object]) -> str:
    return " x ".join(str(n) for n in shape)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
