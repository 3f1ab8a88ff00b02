"""Text models of the transformers library: frozen, with LoRA adapters, or trained as a whole."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.encoders import hub_model
from kontrast.encoders.adapters.lora import Adapted
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.modalities.pretrained import folder_of

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Tokens computed at once on a CPU: what lies between two layers then stays in its cache. At 1,024 a batch of 32 short
# texts is nearly one piece, padded to its longest; below 512 the gradients of the weights are added up too often.
PIECE = 512


class Transformer(Encoder):
    """Pretrained language model (BERT, MiniLM, MPNet, ...) with pooled token features.

    It knows the language and costs time; for a run on few cores or from scratch take `Tokens`. Only safetensors weights
    are read, and no code that comes with a model is run.

    Args:
        model: Folder or hub name.
        train: "lora" learns a low-rank addition to every linear layer (Hu et al. 2022): a few percent of the weights,
            so small data cannot wash out what the model knows. "full" learns all weights, for large data. "frozen"
            learns none and has no dropout, so only what stands on top learns.
        rank: Of the additions of "lora".
        pooling: Mean over the tokens, or the first one. None: what the model's 1_Pooling/config.json says, else mean.
        weights: False builds only the shape of the model, for weights from elsewhere (those of a run).

    Raises:
        UserError: no such model, or none that the library can read.

    Reference:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.
    """

    pace = 0.1  # what it knows is easily washed out

    def __init__(
        self,
        *,
        model: str = MODEL,
        train: Literal["frozen", "lora", "full"] = "lora",
        rank: int = 8,
        pooling: Literal["mean", "cls"] | None = None,
        weights: bool = True,
    ) -> None:
        super().__init__()
        self.frozen = train == "frozen"
        folder = folder_of(model, weights=weights)
        loaded = hub_model.load(folder, weights=weights)
        self.shape = loaded.config.to_json_string()
        self.pooling = pooling or _pooling(folder)
        self.width = self.dense_width = int(loaded.config.hidden_size)
        self.pad: int = loaded.config.pad_token_id or 0
        # The pooler of BERT and its kin is not on the way to our features.
        self.model: nn.Module = Adapted(loaded, rank, without="pooler") if train == "lora" else loaded
        for name, part in self.model.named_parameters():
            if self.frozen or "pooler" in name:
                part.requires_grad_(False)
        self.train()

    def forward(self, x: Tensor) -> Features:
        """Last hidden layer, as it is and pooled over the tokens that exist.

        On a CPU, rows of similar length are computed together, a few at a time: nothing is computed for the padding,
        which is half of a batch of short texts, and what lies between two layers stays in the cache.

        Args:
            x: (B, L) int64 ids of the model's own tokenizer, -1 after the end.

        Returns:
            Pooled (B, width); dense (B, L, width) in the order of the tokens, special ones included.
        """
        if x.device.type != "cpu":
            return Features(*self._encoded(x), x >= 0)
        lengths, order = (x >= 0).sum(1).sort(descending=True, stable=True)
        pieces = [self._encoded(piece) for piece in _pieces(x[order], lengths.tolist())]
        back = order.argsort()
        if not self.gives_dense:
            return Features(torch.cat([pooled for pooled, _ in pieces])[back])
        h_BLD = torch.cat([F.pad(h, (0, 0, 0, x.shape[1] - h.shape[1])) for _, h in pieces])
        return Features(torch.cat([pooled for pooled, _ in pieces])[back], h_BLD[back], x >= 0)

    def traced(self, x: Tensor) -> Tensor:
        """Computes the pooled features, all rows in one piece."""
        return self._encoded(x)[0]

    def _encoded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features, and the last hidden layer."""
        there = x >= 0
        h_BLD = self.model(input_ids=x.masked_fill(~there, self.pad), attention_mask=there.long()).last_hidden_state
        if self.pooling == "cls":
            return h_BLD[:, 0], h_BLD
        there_BL1 = there[:, :, None].to(h_BLD.dtype)
        return (h_BLD * there_BL1).sum(1) / there_BL1.sum(1).clamp_min(1), h_BLD

    def train(self, mode: bool = True) -> "Transformer":
        """Sets training mode; a frozen model stays in eval mode."""
        return super().train(mode and not self.frozen)

    def recompute(self) -> bool:
        """Uses the library's own checkpoints around layers, which apply in training mode only."""
        net: Any = self.model.net if isinstance(self.model, Adapted) else self.model
        self.recomputes = not self.frozen and net.supports_gradient_checkpointing
        if self.recomputes:
            with hub_model.quiet():  # versions from 5.24 on also call it activation_checkpointing_enable, and say so
                net.gradient_checkpointing_enable({"use_reentrant": False})
        return self.recomputes

    def keep(self, folder: Path) -> None:
        """Saves shape and pooling; the weights are among those of the run."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(self.shape, encoding="utf8")
        (folder / "kept.json").write_text(json.dumps({"pooling": self.pooling}), encoding="utf8")

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """This folder as the model, without weights."""
        return {"model": str(folder), "weights": False, **hub_model.read(folder / "kept.json")}

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The model's tokenizer and length; deletion for a frozen one, without dropout."""
        model = settings.get("model", MODEL)
        length = hub_model.read(folder_of(model, weights=False) / "sentence_bert_config.json").get("max_seq_length")
        asked: dict[str, Any] = {"tokenizer": model}
        if length:
            asked["length"] = min(length, 256)
        if settings.get("train") == "frozen":
            asked["deletion"] = 0.15
        return asked


def _pieces(x: Tensor, lengths: list[int]) -> Iterator[Tensor]:
    """Rows in turn, long ones first, about PIECE tokens at a time, padded to the longest of them."""
    start = 0
    for row in range(1, len(lengths)):
        if (row - start + 1) * lengths[start] > PIECE:
            yield x[start:row, : lengths[start]]
            start = row
    yield x[start:, : max(1, lengths[start])]


def _pooling(folder: Path) -> Literal["mean", "cls"]:
    """Pooling that sentence-transformers wrote; it has two spellings."""
    said = hub_model.read(folder / "1_Pooling" / "config.json")
    modes = [name.removeprefix("pooling_mode_") for name, on in said.items() if name.startswith("pooling_mode_") and on]
    modes = modes or [said.get("pooling_mode", "mean")]
    known: dict[str, Literal["mean", "cls"]] = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise UserError(
            f"transformer: {folder} pools by {modes}; expected mean or cls. Choose with pooling='mean' or 'cls'."
        )
    return known[modes[0]]
