"""MoCo: a query finds what momentum copies make of the other view, among many keys."""

from collections.abc import Mapping
from typing import Annotated

from torch import Tensor, nn

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.factory import Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.layers.momentum import MomentumCopy, cosine_momentum
from kontrast.layers.predictor import Predictor
from kontrast.layers.queue import Queue
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.one_field import OneField
from kontrast.tasks.queued_keys import queue_length, queued
from kontrast.tasks.task import Output


class MoCo(OneField):
    """Finds what momentum copies make of the other view, among the keys of earlier batches or of this one.

    Take it for data without labels if batches are small. With a queue (versions 1 and 2) queries come from one view
    and keys from the other; candidates are the own key and the queued ones. With `queue=0` (version 3) both views ask;
    candidates are the keys of the batch on all ranks, and head and predictor end in batch norms. Duplicates, and older
    keys of the same sample, are no negatives. The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field.
        samples: Number of training rows, from the data.
        queue: Keys of earlier batches, at most `samples`; 65,536 in the paper. 0: none. None: 4,096, or half of
            `samples` if that is fewer.
        temperature: Of the cosine; 0.2 as in version 2, 0.07 in version 1.
        momentum: Share of their own weights that the copies keep, 0 to 1; 0.999 in versions 1 and 2, for 200 epochs
            of ImageNet. Short runs need less.
        final_momentum: That in the last step, reached along half a cosine; None: constant. 1 in version 3.
        hidden: Width of the head's hidden layer; 0 for a linear head, as in version 1.
        width: Width of the compared embeddings.
        predictor: Width of the hidden layer of a predictor after the head, as in version 3; 0: none.

    Raises:
        UserError: a queue longer than the training rows.

    Equation:
        L_i = log sum_k e^(S_ik) - S_ii, S the cosine of query and key over the temperature, k the candidates. Version
        3 takes the mean of both directions; its authors' code adds them, times twice the temperature.

    Reference:
        He et al. 2020, arXiv:1911.05722; version 2: Chen et al. 2020, arXiv:2003.04297; version 3: Chen et al. 2021,
        arXiv:2104.02057.
    """

    uses = frozenset({"momentum"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        samples: int,
        queue: int | None = None,
        temperature: float = 0.2,
        momentum: Annotated[float, Range(0, 1)] = 0.99,
        final_momentum: Annotated[float, Range(0, 1)] | None = None,
        hidden: int = 512,
        width: int = 128,
        predictor: int = 0,
    ) -> None:
        length = queue_length("moco", queue, samples)
        norm = "none" if length else "batch"
        super().__init__(encoders, views=2, hidden=hidden, width=width, norm=norm, last_norm=not length)
        one, two = self.views()
        self.content = f"content {self.field}"
        self.pairs = [(one, two)] if length else [(one, two), (two, one)]
        self.first, self.last = momentum, momentum if final_momentum is None else final_momentum
        self.copied = MomentumCopy(self.head)
        self.predictor = Predictor(width=width, hidden=predictor, last_norm=not length) if predictor else nn.Identity()
        self.queue = Queue(size=length, width=width, keys=(self.content,)) if length else None
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()
        self.relation = SameKey("id") & ExcludeDuplicates(self.content)

    def begin(self, clock: Clock) -> None:
        """Sets the momentum of the coming update."""
        self.momentum = cosine_momentum(self.first, self.last, clock.progress)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Queries: of the first view, without a queue of both."""
        seen = encoders(batch, [query for query, _ in self.pairs])
        return self.through(self._ask, seen, batch, together=encoders.together)

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Keys: of the second view, without a queue of both."""
        seen = encoders.momentum(batch, [key for _, key in self.pairs])
        found = self.through(self.copied, seen, batch, together=encoders.together)
        return {f"key {name}": output for name, output in found.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Queries against their keys and the queued ones, or against the keys of all ranks."""
        pairs = dict(zip((name for name, _ in self.pairs), self.positive_pairs(out), strict=True))
        how = {"loss": self.loss, "kernel": self.kernel}
        if self.queue is not None:
            return {name: queued(*pair, self.queue, content=self.content, **how) for name, pair in pairs.items()}
        everyone = ranks.gather({name: keys for name, (_, keys) in pairs.items()})
        return {
            name: 0.5 * contrast(queries, everyone[name], self.relation, **how) for name, (queries, _) in pairs.items()
        }

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the copy of the head, and queues the keys of all ranks."""
        self.copied.update(self.head, self.momentum)
        if self.queue is not None:
            self.queue.push(self.positive_pairs(out)[0][1], ranks)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Queries of one view with the keys of the other, for the rows that have the field."""
        return [(self.having(out[query]), self.having(out[f"key {key}"])) for query, key in self.pairs]

    def _ask(self, features: Tensor) -> Tensor:
        return self.predictor(self.head(features))
