"""Sum over misordered pairs of pairs that CoSENT and AnglE share."""

import torch
from torch import Tensor


def ranked(scores_P: Tensor, wanted_P: Tensor) -> tuple[Tensor, Tensor]:
    """Log of 1 + the exponentiated score differences of all ordered pairs.

    Sorted by `wanted_P`, the inner sum over j is a running log-sum-exp, looked up before the first equal to i: O(P log
    P), and no P x P tensor.

    Args:
        scores_P: (P,) scaled similarities.
        wanted_P: (P,) gold scores, of which the order is read.

    Returns:
        The loss, and its count: 1, or 0 if all gold scores are equal.

    Equation:
        L = log(1 + sum over wanted_i > wanted_j of e^{scores_j - scores_i})
    """
    wanted, order = wanted_P.sort()
    scores = scores_P[order]
    first = torch.searchsorted(wanted, wanted)
    late = first.nonzero().squeeze(1)
    if not len(late):
        return scores.sum() * 0, torch.zeros_like(scores[:0].sum())
    below = scores.logcumsumexp(0)[first[late] - 1]
    return torch.nn.functional.softplus((below - scores[late]).logsumexp(0)), torch.ones_like(below[0])
