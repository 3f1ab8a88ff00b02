"""Causal language models: log-probabilities of answers, and hidden states as features.

Axis letters: B rows, L tokens of a view, T tokens with start and end, A answer tokens of the batch, D width, V
vocabulary.
"""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from kontrast.core.errors import UserError, needs
from kontrast.encoders import hub_model
from kontrast.encoders.adapters.lora import Adapted
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.modalities.pretrained import folder_of
from kontrast.modalities.text.marks import BETWEEN, TURN

PACE = 0.1  # share of the learning rate for pretrained weights: what they know is easily washed out
VOCABULARY = 2048  # of a small model, whose table of tokens would otherwise be most of it
TILE = 1 << 24  # logits held at once: 64 MB
PIECE = 1024  # tokens computed at once on a CPU, where padding to the longest row of a batch costs most


class Framed(NamedTuple):
    """Token ids as the model reads them.

    Attributes:
        ids: (B, T): start, prompt, answer, end; any id after the end.
        there: (B, T) bool, which positions exist.
        answer: (B, T) bool, answer and end.
    """

    ids: Tensor
    there: Tensor
    answer: Tensor


class CausalLM(Encoder):
    """A causal language model that scores answers: DPO, SimPO, CPL, CLICK; also a text encoder.

    Its dense features are the log-probability of each token of the answer, given the prompt and the tokens before. A
    text without a prompt is all answer. Logits are computed for a tile of positions at a time and again for the
    gradient, so memory holds no (tokens, vocabulary) matrix.

    Without `model` it is a small Llama with random weights, for tests and CPUs: what it says is worth little before it
    has been trained.

    Args:
        vocabulary: Number of token ids; from the data.
        model: Folder or hub name of a causal language model of the transformers library. None: a small random one.
        train: "full" learns all weights, "lora" a low-rank addition to every linear layer but the last, "frozen" none.
        rank: Of the additions of "lora".
        pooling: Hidden state of the last token, as reward models use, or the mean over the answer's tokens.
        width: Width of the small model; a multiple of `heads`.
        layers: Number of its blocks.
        heads: Number of its attention heads.
        weights: False builds only the shape of `model`, for weights from elsewhere (those of a run).

    Raises:
        UserError: no such model, or one whose logits are more than a linear map of its last hidden state.

    Equation:
        dense[b, t] = log softmax(W h[b, t - 1])[token t], for tokens t of the answer and the end

    Reference:
        Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", arXiv:2302.13971.

    Example:
        >>> x = torch.tensor([[3, 4, -2, 5, 6], [7, -2, 8, -1, -1]])  # prompt, -2, answer, -1 after the end
        >>> CausalLM(vocabulary=9)(x).mask.sum(1)  # answer and end
        tensor([3, 2])
    """

    dense_width = 1

    def __init__(
        self,
        *,
        vocabulary: int,
        model: str | None = None,
        train: Literal["frozen", "lora", "full"] = "full",
        rank: int = 8,
        pooling: Literal["last", "mean"] = "last",
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        weights: bool = True,
    ) -> None:
        super().__init__()
        if model is None:
            loaded = _small(vocabulary, width, layers, heads)
        else:
            loaded = hub_model.load(folder_of(model, weights=weights), weights=weights, causal=True)
        self.own, self.frozen, self.pooling = model is None, train == "frozen", pooling
        self.pace = 1.0 if self.own else PACE
        self.config = loaded.config
        self.width = int(self.config.hidden_size)
        self.start, self.end = _first(self.config.bos_token_id), _first(self.config.eos_token_id)
        head, base = loaded.get_output_embeddings(), loaded.base_model
        tied = head is not None and head.weight is base.get_input_embeddings().weight
        self.model: nn.Module = Adapted(base, rank, without="lm_head") if train == "lora" else base
        self.head: nn.Module | None = None if tied else head  # tied weights are saved once
        if train != "full":
            self.head = self.head and self.head.requires_grad_(False)
        if self.frozen:
            self.model.requires_grad_(False)
        elif not any(p.requires_grad for p in self.model.parameters()):
            raise UserError(f"causal_lm: {model} has no linear layer for train=lora to add to; expected train=full.")
        if model is not None and weights:
            self._refuse_unlike(loaded, model)
        self.train()

    def forward(self, x: Tensor) -> Features:
        """Log-probabilities of answers, and pooled hidden states.

        Args:
            x: (B, L) int64 token ids, -2 between prompt and answer, -1 after the end.

        Returns:
            Pooled (B, width); dense (B, T, 1) log-probabilities, 0 where the mask (B, T) of answer and end is False.
        """
        if not len(x):  # the library's attention takes no empty batch, but every parameter has to be in the graph
            features = self.forward(x.new_zeros(1, max(1, x.shape[1])))
            return Features(*(part[:0] for part in features if part is not None))
        framed = self.framed(x)
        if x.device.type != "cpu":
            return self._scored(framed)
        lengths, order = framed.there.sum(1).sort(descending=True, stable=True)
        pieces = [self._scored(piece) for piece in _pieces(framed, order, lengths.tolist())]
        back, T = order.argsort(), framed.ids.shape[1]
        pooled = torch.cat([piece.pooled for piece in pieces])[back]
        if not self.gives_dense:
            return Features(pooled)
        dense = torch.cat([F.pad(p.dense, (0, 0, 0, T - p.dense.shape[1])) for p in pieces if p.dense is not None])
        return Features(pooled, dense[back], framed.answer)

    def traced(self, x: Tensor) -> Tensor:
        """Computes the pooled features alone, all rows in one piece."""
        framed = self.framed(x)
        return self._pooled(self._hidden(framed), framed)

    def framed(self, x: Tensor) -> Framed:
        """Prompt and answer of each row side by side, between start and end."""
        gap = x == BETWEEN
        number = gap.cumsum(1)
        there, answer = x >= 0, number == number[:, -1:]
        order = (~there).to(torch.int8).argsort(dim=1, stable=True)
        ids, answer = x.gather(1, order), (answer & there).gather(1, order)
        count_B1 = there.sum(1, keepdim=True)
        if self.start is not None:
            ids, answer = F.pad(ids, (1, 0), value=self.start), F.pad(answer, (1, 0))
            count_B1 = count_B1 + 1
        if self.end is not None:
            ids, answer = F.pad(ids, (0, 1)), F.pad(answer, (0, 1))
            ends = torch.arange(ids.shape[1], device=x.device) == count_B1
            ids, answer = torch.where(ends, self.end, ids), answer | ends
            count_B1 = count_B1 + 1
        there = torch.arange(ids.shape[1], device=x.device) < count_B1
        if self.start is None:  # nothing stands before the first token, so it has no probability
            answer = answer & (torch.arange(ids.shape[1], device=x.device) > 0)
        return Framed(ids.masked_fill(~there, self.end or 0), there, answer & there)

    def _scored(self, framed: Framed) -> Features:
        h_BTD = self._hidden(framed)
        if not self.gives_dense:
            return Features(self._pooled(h_BTD, framed))
        at, token = framed.answer[:, 1:], framed.ids[:, 1:]
        each_A = self._log_probs(h_BTD[:, :-1][at], token[at])
        dense_BT = each_A.new_zeros(framed.ids.shape)
        dense_BT[:, 1:][at] = each_A
        return Features(self._pooled(h_BTD, framed), dense_BT[..., None], framed.answer)

    def _hidden(self, framed: Framed) -> Tensor:
        return self.model(input_ids=framed.ids, attention_mask=framed.there.long(), use_cache=False).last_hidden_state

    def _log_probs(self, h_AD: Tensor, token_A: Tensor) -> Tensor:
        """Log-probability of each token, a tile of logits at a time."""
        rows = max(1, TILE // self._weight.shape[0])
        tiles = zip(h_AD.split(rows), token_A.split(rows), strict=True)
        if torch.is_grad_enabled():
            return torch.cat([checkpoint(self._tile, h, token, use_reentrant=False) for h, token in tiles])
        return torch.cat([self._tile(h, token) for h, token in tiles])

    def _tile(self, h_AD: Tensor, token_A: Tensor) -> Tensor:
        logits_AV = (F.linear(h_AD, self._weight) if self.head is None else self.head(h_AD)).float()
        return logits_AV.gather(1, token_A[:, None])[:, 0] - logits_AV.logsumexp(1)

    @property
    def _weight(self) -> Tensor:
        """Matrix of the last layer, (V, D)."""
        layer: Any = self._net.get_input_embeddings() if self.head is None else self.head
        return layer.weight

    def _pooled(self, h_BTD: Tensor, framed: Framed) -> Tensor:
        if self.pooling == "last":
            last_B = framed.there.sum(1).clamp_min(1) - 1
            return h_BTD[torch.arange(len(h_BTD), device=h_BTD.device), last_B]
        counted_BT1 = framed.answer[..., None].to(h_BTD.dtype)
        return (h_BTD * counted_BT1).sum(1) / counted_BT1.sum(1).clamp_min(1)

    @property
    def _net(self) -> Any:
        return self.model.net if isinstance(self.model, Adapted) else self.model

    @torch.no_grad()
    def _refuse_unlike(self, loaded: Any, model: str) -> None:
        """Refuses models that scale or cap their logits, since tiles are computed with the last layer alone."""
        ids = torch.arange(4)[None] % loaded.config.vocab_size
        all_there = torch.ones_like(ids, dtype=torch.bool)
        self.eval()
        loaded.eval()
        ours = self._log_probs(self._hidden(Framed(ids, all_there, all_there))[0, :-1], ids[0, 1:])
        theirs = loaded(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(1)
        if not torch.allclose(ours, theirs.gather(1, ids[0, 1:, None])[:, 0], atol=1e-3):
            raise UserError(
                f"causal_lm: the logits of {model} are more than a linear map of its last hidden state; expected a "
                "model such as Llama, Qwen, Mistral, GPT-2 or GPT-NeoX."
            )

    def whole(self) -> Any:
        """A copy of the model as the transformers library has it, adapters merged, last layer included."""
        base: Any = copy.deepcopy(self.model).cpu()
        with hub_model.quiet():
            made = needs("transformers", "text").AutoModelForCausalLM.from_config(self.config, dtype=torch.float32)
        setattr(made, made.base_model_prefix, base.merged() if isinstance(base, Adapted) else base)
        if self.head is None:
            made.tie_weights()
        else:
            made.set_output_embeddings(copy.deepcopy(self.head).cpu())
        return made.eval()

    def train(self, mode: bool = True) -> "CausalLM":
        """Sets training mode; a frozen model stays in eval mode."""
        return super().train(mode and not self.frozen)

    def recompute(self) -> bool:
        """Uses the library's own checkpoints around layers, which apply in training mode only."""
        self.recomputes = not self.frozen and self._net.supports_gradient_checkpointing
        if self.recomputes:
            with hub_model.quiet():
                self._net.gradient_checkpointing_enable({"use_reentrant": False})
        return self.recomputes

    def keep(self, folder: Path) -> None:
        """Saves the shape of a pretrained model; that of a small one follows from its settings."""
        if not self.own:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text(self.config.to_json_string(), encoding="utf8")

    @classmethod
    def kept(cls, folder: Path) -> dict[str, Any]:
        """This folder as the model, without weights; nothing for a small model."""
        return {"model": str(folder), "weights": False} if (folder / "config.json").exists() else {}

    @classmethod
    def wants(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Whole dialogues, split before their last answer, and the tokens that fit the model."""
        asked: dict[str, Any] = {"turn": TURN, "deletion": 0.0}
        pretrained = settings.get("model")
        return {**asked, **({"tokenizer": pretrained} if pretrained else {"vocabulary": VOCABULARY})}


def _small(vocabulary: int, width: int, layers: int, heads: int) -> Any:
    """A Llama with random weights; one more token is both start and end."""
    if width < 1 or heads < 1 or layers < 1 or width % heads or width // heads % 2:
        raise UserError(
            f"causal_lm: width={width}, heads={heads}, layers={layers}; expected at least one layer, and a width that "
            "gives every head an even number of features."
        )
    transformers = needs("transformers", "text")
    config = transformers.LlamaConfig(
        vocab_size=vocabulary + 1,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        tie_word_embeddings=True,
        bos_token_id=vocabulary,
        eos_token_id=vocabulary,
        pad_token_id=None,
    )
    with hub_model.quiet():
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _first(token: int | list[int] | None) -> int | None:
    return token[0] if isinstance(token, list) else token


def _pieces(framed: Framed, order: Tensor, lengths: list[int]) -> Iterator[Framed]:
    """Rows in the given order, long ones first, about PIECE tokens at a time, padded to the longest of them."""
    start = 0
    for row in range(1, len(lengths) + 1):
        if row == len(lengths) or (row - start + 1) * lengths[start] > PIECE:
            yield Framed(*(part[order[start:row], : max(1, lengths[start])] for part in framed))
            start = row
