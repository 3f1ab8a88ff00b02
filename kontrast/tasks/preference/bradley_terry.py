"""Bradley-Terry: a reward head on the embeddings of two fields, of which one was chosen."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.losses.engine import input_checks
from kontrast.losses.preference.bradley_terry import BradleyTerry as Loss
from kontrast.losses.preference_loss import Answers
from kontrast.tasks.parts import known, where_present
from kontrast.tasks.preference.answer_task import SIDES
from kontrast.tasks.preference.preference_task import PreferenceTask, answers, parts_of
from kontrast.tasks.task import Output


class BradleyTerry(PreferenceTask):
    """Learns a reward: one number per text, picture or series, larger for what was chosen.

    Take it for a reward model, or to rank by what people prefer. To train a language model itself take `DPO`; if the
    preference depends on a user or a query, take `BPR`.

    Args:
        encoders: Facts of the encoders, of any kind; a prompt of its own needs texts.
        chosen: Field that was chosen.
        rejected: Field that was rejected.
        prompt: Field of the prompts; None: the field `prompt` if there is one.
        margin: By which the chosen reward must lead; 0 as in the paper.
        scored: Weight of a score of each row in the margin, for graded preferences (`--field COLUMN=score`); 0: none.

    Raises:
        UserError: a field that the data lacks, or a margin that is no number.

    Equation:
        L = -log sigmoid(r(chosen) - r(rejected) - margin - scored score)

    Reference:
        Bradley & Terry 1952, Biometrika 39; Ouyang et al. 2022, arXiv:2203.02155; margins by scores: Touvron et al.
            2023, arXiv:2307.09288.

    Example:
        >>> BradleyTerry(EncoderInfo({"chosen": 8, "rejected": 8})).heads["chosen"].weight.shape
        torch.Size([1, 8])
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        chosen: str = "chosen",
        rejected: str = "rejected",
        prompt: str | None = None,
        margin: float = 0.0,
        scored: float = 0.0,
    ) -> None:
        super().__init__(encoders, parts_of(encoders, chosen, rejected, prompt), "global")
        self.loss, self.scored = Loss(margin=margin), input_checks.number(scored, "bradleyterry: scored", least=0)
        self.needs = frozenset({"score"}) if scored else frozenset()
        self.networks = {side: encoders.network(self.fields_of[side]) for side in SIDES}
        widths = {encoders.network(field): width for field, width in encoders.widths.items()}
        used = dict.fromkeys(self.networks.values())
        self.heads = nn.ModuleDict({network: nn.Linear(widths[network], 1) for network in used})

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """The reward of each side, (B, 1)."""
        found, out = encoders(answers(batch), SIDES), {}
        for side in SIDES:
            head, here = self.heads[self.networks[side]], batch.keys[f"has {self.fields_of[side]}"]
            z = where_present(head, found[side].pooled, here, 1, together=encoders.together)
            out[side] = Output(z, side)
        return out

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss over rows that have both fields, and a score if the margin follows it."""
        here = self.complete(out["chosen"])
        chosen, rejected = (known(out[side][here], self.needs) for side in SIDES)
        lead = chosen.z[:, 0]
        if self.scored:
            lead = lead - self.scored * chosen.keys["score"].to(lead.dtype)
        return {"preference": self.loss(Answers(lead), Answers(rejected.z[:, 0]))}

    def lead(self, out: Mapping[str, Embeddings]) -> Tensor:
        """Difference of the rewards, (B,)."""
        return out["chosen"].z[:, 0] - out["rejected"].z[:, 0]

    def embed(self, field: str, features: Features) -> Tensor:
        """The encoder's output. The heads are served with it: `reward` tells what they say."""
        return features.pooled

    @torch.no_grad()
    def reward(self, field: str, pooled: Tensor) -> Tensor:
        """Reward of served embeddings before they are normalised, (B, D) -> (B,); of a chosen or rejected field."""
        side = next(side for side in SIDES if self.fields_of[side] == field)
        return self.heads[self.networks[side]](pooled)[:, 0]
