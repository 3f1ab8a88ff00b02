"""Pairs of pairs in order: whoever should be more alike must score higher; the sum CoSENT and AnglE share."""

import torch
from torch import Tensor


def ranked(scores_P: Tensor, wanted_P: Tensor) -> tuple[Tensor, Tensor]:
    """log(1 + sum over wanted_i > wanted_j of e^{scores_j - scores_i}), and whether any two are in order at all.

    Sorted by `wanted`, the inner sum over j is a running log-sum-exp, looked up before the first equal to i: O(P log
    P), and no P x P tensor.
    """
    wanted, order = wanted_P.sort()
    scores = scores_P[order]
    first = torch.searchsorted(wanted, wanted)
    late = first.nonzero().squeeze(1)
    if not len(late):
        return scores.sum() * 0, torch.zeros_like(scores[:0].sum())
    below = scores.logcumsumexp(0)[first[late] - 1]
    return torch.nn.functional.softplus((below - scores[late]).logsumexp(0)), torch.ones_like(below[0])
