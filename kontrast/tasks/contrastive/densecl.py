"""DenseCL: MoCo for rows, and beside it for their positions, each with the most similar position of the other view."""

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from torch import Tensor

from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.factory import WHOLE, Range
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.layers.head import Head
from kontrast.layers.momentum import MomentumCopy, cosine_momentum
from kontrast.layers.queue import Queue
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.kernels.cosine import Cosine
from kontrast.tasks.correspondence import chosen_places, matched
from kontrast.tasks.one_field import OneField
from kontrast.tasks.parts import where_present
from kontrast.tasks.queued_keys import queue_length, queued
from kontrast.tasks.task import Output


class DenseCL(OneField):
    """Finds keys of rows and of their positions, made by momentum copies of the other view, among queued keys.

    Take it if positions are used afterwards (detection, segmentation, tokens, instants), or if a row holds several
    things. Rows are contrasted as `moco` does. A position's key is the one of the other view whose encoder features
    are most similar by cosine; its negatives are queued means of other rows' dense keys. Duplicates are no negatives.
    The encoder's output is evaluated and served.

    Args:
        encoders: Facts of the encoder of the one field, which gives a vector per position.
        samples: Number of training rows, from the data.
        dense: Weight of the dense contrast, 0 to 1; that of rows is 1 - dense. 0.5 as in the paper.
        positions: Positions of a row that are compared, evenly spaced if it has more; 49 in the paper.
        queue: Keys in each of the two queues, at most `samples`; 65,536 in the paper. None: 4,096, or half of `samples`
            if that is fewer.
        temperature: Temperature of both cosines; 0.2 as in the paper.
        momentum: Share of their own weights that the copies keep, 0 to 1; 0.999 in the paper. Short runs need less.
        final_momentum: That in the last step, reached along half a cosine; None: constant, as in the paper.
        hidden: Width of the hidden layer of both heads; 2,048 in the paper.
        width: Width of the compared embeddings; 128 as in the paper.

    Raises:
        UserError: An encoder without dense features, or a queue longer than the training rows.

    Equation:
        L = (1 - dense) mean_i l(q_i, k_i; K) + dense mean_ip l(r_ip, s_ic(p); S), l(q, k; K) = log(e^(q k) + sum_K e^(q
        k')) - q k of cosines over the temperature, c(p) the position of the key view most similar to p, K and S queues.

    Reference:
        Wang et al. 2021, arXiv:2011.09157.

    Example:
        >>> info = EncoderInfo({"photo": 512}, dense={"photo": 32})
        >>> [len(DenseCL(info, samples=n).queue) for n in (100, 100_000)]  # keys that it remembers
        [50, 4096]
    """

    uses = frozenset({"momentum", "dense"})

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        samples: int,
        dense: Annotated[float, Range(0, 1)] = 0.5,
        positions: Annotated[int, Range(1, WHOLE)] = 64,
        queue: int | None = None,
        temperature: float = 0.2,
        momentum: Annotated[float, Range(0, 1)] = 0.99,
        final_momentum: Annotated[float, Range(0, 1)] | None = None,
        hidden: int = 512,
        width: int = 128,
    ) -> None:
        super().__init__(encoders, views=2, hidden=hidden, width=width, norm="none")
        places = encoders.dense.get(self.field) or 0
        if places < 2:
            raise UserError(
                f"task 'densecl' needs a vector per position; the encoder of field '{self.field}' gives "
                f"{'one number' if places else 'none'}. Choose another with --encoder, or take --recipe moco."
            )
        length, self.content = queue_length("densecl", queue, samples, least=1), f"content {self.field}"
        self.share, self.positions = dense, positions
        self.first, self.last = momentum, momentum if final_momentum is None else final_momentum
        self.dense_head = Head(
            in_width=places, hidden=hidden or None, width=width, layers=2 if hidden else 1, norm="none"
        )
        self.copied, self.dense_copied = MomentumCopy(self.head), MomentumCopy(self.dense_head)
        self.queue, self.dense_queue = (Queue(size=length, width=width, keys=(self.content,), seed=n) for n in (0, 1))
        self.kernel, self.loss = Cosine(temperature=temperature), InfoNCE()

    def begin(self, clock: Clock) -> None:
        """Sets the momentum of the coming update."""
        self.momentum = cosine_momentum(self.first, self.last, clock.progress)

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Queries of the first view: of rows, and of positions beside the features that match them."""
        view = next(iter(self.views()))
        return self._both(encoders(batch, [view]), self.head, self.dense_head, batch, encoders.together)

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Keys of the second view, likewise."""
        _, view = self.views()
        return self._both(encoders.momentum(batch, [view]), self.copied, self.dense_copied, batch, encoders.together)

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Queries of rows and of positions against their keys and the queued ones."""
        how = {"content": self.content, "loss": self.loss, "kernel": self.kernel}
        [pair], places = self.positive_pairs(out), self._places(out)
        return {
            "rows": (1 - self.share) * queued(*pair, self.queue, **how),
            "positions": self.share * queued(*matched(*places, self.head.width), self.dense_queue, **how),
        }

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Moves the copies of the heads, and queues the keys of all ranks: of rows, and means over their positions."""
        self.copied.update(self.head, self.momentum)
        self.dense_copied.update(self.dense_head, self.momentum)
        self.queue.push(self.positive_pairs(out)[0][1], ranks)
        keys = self._places(out)[1]
        mask = keys.keys["mask"]
        mean = (keys.z[..., : self.head.width] * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        self.dense_queue.push(Embeddings(mean, keys.keys)[mask.any(1)], ranks)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Queries of rows with their keys."""
        one, two = self.views()
        return [(self.having(out[one]), self.having(out[two]))]

    def _places(self, out: Mapping[str, Embeddings]) -> tuple[Embeddings, Embeddings]:
        one, two = self.views()
        return self.having(out[f"dense {one}"]), self.having(out[f"dense {two}"])

    def _both(
        self,
        seen: Mapping[str, Features],
        head: Callable[[Tensor], Tensor],
        dense_head: Callable[[Tensor], Tensor],
        batch: Batch,
        together: bool,
    ) -> dict[str, Output]:
        [(view, features)] = seen.items()
        places, mask = chosen_places(features, batch.keys[f"has {self.field}"], self.positions)
        rows = self.through(head, seen, batch, together=together)
        each = where_present(dense_head, places.flatten(0, 1), mask.flatten(), self.head.width, together=together)
        z = torch.cat([each.view(*mask.shape, -1), places.detach()], 2)
        return {**rows, f"dense {view}": Output(z, view, {"mask": mask})}
