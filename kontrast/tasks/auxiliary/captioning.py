"""Captioning: the text of a row is predicted, token by token, from the features of its other fields."""

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.decoder import AttentionPool, Decoder
from kontrast.tasks.task import Output, Task
from kontrast.tasks.text_targets import compact, text_field


class Captioning(Task):
    """Predicts the text of a row from the features of each other field: image, series, another text.

    Take it beside `clip`, which compares whole rows only, so that features keep what a caption tells of their parts; or
    alone, to learn from texts what to see. A small transformer decoder attends to the dense features and the pooled
    ones, which are served. The text is the first one of its cell, whole; its own encoder does not learn from this task.

    Args:
        encoders: Facts of the encoders.
        text: Field whose texts are predicted; None: the only text field.
        width: Width of the decoder.
        layers: Blocks of the decoder.
        heads: Heads of each attention.
        queries: Vectors that features are pooled into by attention before the decoder (CoCa: 256); 0: the features
            themselves, which suits the few positions of small images.
        length: Tokens predicted of a text.

    Raises:
        UserError: No text field, several without `text`, or a decoder that cannot be.

    Equation:
        L = -mean over tokens of log p(token | tokens before it, features)

    Reference:
        Yu et al. 2022, arXiv:2205.01917 (CoCa), which gives it twice the weight of the contrast.

    Example:
        >>> kinds, facts = {"picture": "image", "title": "text"}, {"title": {"vocabulary": 300}}
        >>> info = EncoderInfo({"picture": 64, "title": 32}, {"picture": 16, "title": 32}, {}, kinds, facts)
        >>> Captioning(info).text
        'title'
    """

    min_fields = 2
    uses = frozenset({"dense"})
    strength = "light"

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        text: str | None = None,
        width: int = 256,
        layers: int = 2,
        heads: int = 4,
        queries: int = 0,
        length: int = 64,
    ) -> None:
        super().__init__()
        self.text = text_field(encoders, text, "captioning")
        self.networks = {field: encoders.network(field) for field in encoders.fields if field != self.text}
        facts = encoders.facts[self.text]
        self.special = list(facts.get("special", ()))
        self.decoder = Decoder(vocabulary=facts["vocabulary"], width=width, layers=layers, heads=heads, length=length)
        self.pool = AttentionPool(queries=queries, width=width, heads=heads) if queries else None
        widths = {net: (encoders.widths[f], encoders.dense.get(f)) for f, net in self.networks.items()}
        self.pooled = nn.ModuleDict({net: nn.Linear(whole, width) for net, (whole, _) in widths.items()})
        self.dense = nn.ModuleDict({net: nn.Linear(part, width) for net, (_, part) in widths.items() if part})

    def views(self) -> dict[str, ViewSpec]:
        """The other fields augmented, and the text as it is."""
        return {field: ViewSpec(field) for field in self.networks} | {self.text: ViewSpec(self.text, "original")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Negative log-likelihood of each row's text, an output per other field; as in `errors`."""
        return {field: self.errors(encoders, batch, field) for field in self.networks}

    def errors(self, encoders: EncodedViews, batch: Batch, field: str) -> Output:
        """Negative log-likelihood of each row's text from the features of one field.

        Returns:
            (B, 1), zeros for rows that lack the field or the text, with the number of their tokens as the key `length`.
        """
        texts, features = self.words(batch.views[self.text].data), encoders(batch, [field])[field]
        here = batch.keys[f"has {field}"] & batch.keys[f"has {self.text}"]
        at, length = here.nonzero()[:, 0], (self.decoder.wanted(texts) >= 0).sum(1)
        loss = torch.zeros(len(here), 1, device=here.device)
        if len(at):
            some = Features(features.pooled[at], *(None if part is None else part[at] for part in features[1:]))
            each = self.decoder(texts[at], *self._seen(field, some))
            loss = loss.to(each.dtype).index_put((at,), each[:, None])
        return Output(loss, field, {"length": length * here})

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Mean error per token of this rank's rows, a term per field."""
        terms = {}
        for field, rows in out.items():
            count = exact(rows.keys["length"].sum())
            each = LossTerm(rows.z.sum(), count, chance=count * math.log(self.decoder.edge + 1))
            terms[f"{field}>{self.text}"] = (1 / len(out)) * each
        return terms

    @torch.no_grad()
    def caption(self, field: str, features: Features) -> Tensor:
        """Tokens of the likeliest text, token by token, of rows of another field: (B, L) int64, -1 after the end."""
        return self.decoder.greedy(*self._seen(field, features))

    def words(self, x: Tensor) -> Tensor:
        """Tokens of texts (B, L) without the special ones of a tokenizer, -1 after the end."""
        kept = (x >= 0) & ~torch.isin(x, torch.tensor(self.special, device=x.device, dtype=x.dtype))
        return compact(x.masked_fill(~kept, -1))

    def _seen(self, field: str, features: Features) -> tuple[Tensor, Tensor | None]:
        """What the decoder attends to, (B, P, width), and which positions exist."""
        network = self.networks[field]
        seen, mask = self.pooled[network](features.pooled)[:, None], features.mask
        if features.dense is not None and network in self.dense:
            seen = torch.cat([seen, self.dense[network](features.dense)], 1)
            mask = None if mask is None else torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
        if self.pool is None:
            return seen, mask
        return cast(Tensor, self.pool(seen, None if mask is None else mask[:, None])), None
