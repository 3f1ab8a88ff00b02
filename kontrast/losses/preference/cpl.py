"""CPL: of two segments of behaviour the preferred one is to be likelier under the policy, without reward or critic."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class CPL(PreferenceLoss):
    """L = -log e^{a+} / (e^{a+} + e^{bias a-}), a = alpha sum_t discount^t log pi(act_t | state_t): contrastive
    preference learning.

    Hejna et al. 2024 (arXiv:2310.13639). `bias` is the paper's lambda: below 1 it keeps the chosen segments likely.
    Scores are (N, T) a step, or (N,) already summed.
    """

    def __init__(self, *, alpha: float = 0.1, bias: float = 0.5, discount: float = 1.0) -> None:
        super().__init__()
        self.alpha = input_checks.number(alpha, "cpl: alpha", above=0)
        self.bias = input_checks.number(bias, "cpl: bias", least=0)
        self.discount = input_checks.number(discount, "cpl: discount", above=0, most=1)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """The equation above."""
        return F.softplus(self.bias * self._advantage(rejected.score) - self._advantage(chosen.score))

    def _advantage(self, score: Tensor) -> Tensor:
        if score.ndim == 1:
            return self.alpha * score
        steps = torch.arange(score.shape[1], device=score.device, dtype=score.dtype)
        return self.alpha * (score * self.discount**steps).sum(1)
