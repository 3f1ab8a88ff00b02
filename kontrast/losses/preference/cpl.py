"""Contrastive preference learning: a policy from preferred segments of behaviour."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class CPL(PreferenceLoss):
    """Contrastive preference learning: a policy from preferred segments of behaviour.

    Take it to learn a policy from pairs of segments without a reward model or critic. For answers of a language model
    take `DPO`.

    Args:
        alpha: Temperature of the advantage, above 0; 0.1 as in the authors' code.
        bias: The paper's lambda, at least 0: below 1 it keeps chosen segments likely; 0.5 as in the authors' code.
        discount: Per step, in (0, 1]; 1 (none) by default.

    Shape:
        Log-probabilities of actions, (N, T) per step or (N,) already summed -> (N,).

    Raises:
        UserError: A setting outside its bounds.

    Equation:
        L = -log e^{a+} / (e^{a+} + e^{bias a-}), a = alpha sum_t discount^t log pi(act_t | state_t)

    Reference:
        Hejna et al. 2024, arXiv:2310.13639.

    Example:
        >>> chosen, rejected = Answers(torch.tensor([[-1.0, -2.0]])), Answers(torch.tensor([[-3.0, -1.0]]))
        >>> round(CPL(alpha=1.0, bias=1.0)(chosen, rejected).value().item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    def __init__(self, *, alpha: float = 0.1, bias: float = 0.5, discount: float = 1.0) -> None:
        super().__init__()
        self.alpha = input_checks.number(alpha, "cpl: alpha", above=0)
        self.bias = input_checks.number(bias, "cpl: bias", least=0)
        self.discount = input_checks.number(discount, "cpl: discount", above=0, most=1)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""
        return F.softplus(self.bias * self._advantage(rejected.score) - self._advantage(chosen.score))

    def _advantage(self, score: Tensor) -> Tensor:
        if score.ndim == 1:
            return self.alpha * score
        steps = torch.arange(score.shape[1], device=score.device, dtype=score.dtype)
        return self.alpha * (score * self.discount**steps).sum(1)
