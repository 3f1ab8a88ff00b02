"""Preference losses on plain tensors: chosen answers against rejected ones."""

from torch import Tensor

from kontrast.losses.engine import input_checks
from kontrast.losses.functional.pair_terms import share
from kontrast.losses.preference.bradley_terry import BradleyTerry
from kontrast.losses.preference.click import CLICK
from kontrast.losses.preference.cpl import CPL
from kontrast.losses.preference.dpo import DPO
from kontrast.losses.preference.simpo import SimPO
from kontrast.losses.preference_loss import Answers, PreferenceLoss


def bpr(chosen: Tensor, rejected: Tensor, *, margin: float = 0.0) -> Tensor:
    """Bayesian personalised ranking: chosen scores above rejected ones.

    Take it for recommenders and reward models (Bradley-Terry).

    Args:
        chosen: (N,) scores.
        rejected: (N,) scores, entry k against chosen k.
        margin: By which the chosen score must lead; 0 by default.

    Returns:
        A scalar, the mean over pairs.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = -log sigmoid(chosen - rejected - margin)

    Reference:
        Rendle et al. 2009, arXiv:1205.2618.

    Example:
        >>> bpr(torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0]))
        tensor(0.6437)
    """
    input_checks.answers({"chosen": chosen, "rejected": rejected})
    return _preferred(BradleyTerry(margin=margin), Answers(chosen), Answers(rejected))


def dpo(
    chosen: Tensor, rejected: Tensor, chosen_reference: Tensor, rejected_reference: Tensor, *, beta: float = 0.1
) -> Tensor:
    """Direct preference optimisation: chosen answers gain more over a reference model.

    Take it to align a language model with pairs of answers; `simpo` needs no reference model.

    Args:
        chosen: (N,) summed log-probabilities under the policy.
        rejected: (N,) those of rejected answers.
        chosen_reference: (N,) of chosen answers under the frozen first model.
        rejected_reference: (N,) of rejected answers under that model.
        beta: Above 0; 0.1 as in the paper and in trl.

    Returns:
        A scalar, the mean over pairs.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = -log sigmoid(beta [(s_w - ref_w) - (s_l - ref_l)]), w chosen, l rejected.

    Reference:
        Rafailov et al. 2023, arXiv:2305.18290.

    Example:
        >>> dpo(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([-5.0]), torch.tensor([-5.0]))
        tensor(0.4741)
    """
    references = {"chosen_reference": chosen_reference, "rejected_reference": rejected_reference}
    input_checks.answers({"chosen": chosen, "rejected": rejected, **references})
    return _preferred(DPO(beta=beta), Answers(chosen, chosen_reference), Answers(rejected, rejected_reference))


def simpo(
    chosen: Tensor,
    rejected: Tensor,
    chosen_length: Tensor,
    rejected_length: Tensor,
    *,
    beta: float = 2.0,
    margin: float = 1.0,
) -> Tensor:
    """SimPO: chosen answers likelier per token than rejected ones, by a margin.

    Take it to align a language model without a reference model; tune both settings.

    Args:
        chosen: (N,) summed log-probabilities.
        rejected: (N,) those of rejected answers.
        chosen_length: (N,) numbers of tokens.
        rejected_length: (N,) numbers of tokens.
        beta: Above 0; 2 by default, 2 to 10 in the paper.
        margin: 1 by default, half of `beta` as in the paper.

    Returns:
        A scalar, the mean over pairs.

    Raises:
        UserError: Shapes that do not fit, negative lengths, or a setting outside its bounds.

    Equation:
        L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), n tokens, w chosen, l rejected.

    Reference:
        Meng, Xia & Chen 2024, arXiv:2405.14734.

    Example:
        >>> simpo(torch.tensor([-4.0]), torch.tensor([-9.0]), torch.tensor([8]), torch.tensor([6]))
        tensor(0.3133)
    """
    lengths = {"chosen_length": chosen_length, "rejected_length": rejected_length}
    input_checks.answers({"chosen": chosen, "rejected": rejected, **lengths})
    input_checks.tokens(**lengths)
    loss = SimPO(beta=beta, margin=margin)
    return _preferred(loss, Answers(chosen, length=chosen_length), Answers(rejected, length=rejected_length))


def cpl(chosen: Tensor, rejected: Tensor, *, alpha: float = 0.1, bias: float = 0.5, discount: float = 1.0) -> Tensor:
    """Contrastive preference learning: a policy from preferred segments.

    Take it to learn a policy from pairs of segments without reward or critic.

    Args:
        chosen: (N, T) log-probabilities of the actions of a segment, or (N,) their sums.
        rejected: As `chosen`.
        alpha: Above 0; 0.1 as in the authors' code.
        bias: The paper's lambda, at least 0; 0.5 as in the authors' code.
        discount: Per step, in (0, 1]; 1 by default.

    Returns:
        A scalar, the mean over pairs.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = -log e^{a+} / (e^{a+} + e^{bias a-}), a = alpha sum_t discount^t log pi(act_t | state_t)

    Reference:
        Hejna et al. 2024, arXiv:2310.13639.

    Example:
        >>> cpl(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -4.0]]))
        tensor(0.6685)
    """
    input_checks.answers({"chosen": chosen, "rejected": rejected}, steps=True)
    return _preferred(CPL(alpha=alpha, bias=bias, discount=discount), Answers(chosen), Answers(rejected))


def click(wanted: Tensor, unwanted: Tensor, *, margin: float = 20.0) -> Tensor:
    """CLICK: wanted texts likelier than unwanted ones, by a margin.

    Take it beside a language model's loss, with weight 0.5 in the paper.

    Args:
        wanted: (N,) summed log-probabilities.
        unwanted: (N,) summed log-probabilities.
        margin: At least 0; 20 as in the authors' code.

    Returns:
        A scalar, the mean over pairs.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L = max(0, margin - wanted + unwanted)

    Reference:
        Zheng et al. 2023, arXiv:2306.03350.

    Example:
        >>> click(torch.tensor([-4.0]), torch.tensor([-9.0]))
        tensor(15.)
    """
    input_checks.answers({"wanted": wanted, "unwanted": unwanted})
    return _preferred(CLICK(margin=margin), Answers(wanted), Answers(unwanted))


def _preferred(loss: PreferenceLoss, chosen: Answers, rejected: Answers) -> Tensor:
    return share({type(loss).__name__.lower(): loss(chosen, rejected)}, "no pairs.")
