"""TS2Vec, written from the paper: an instant is the same instant of another crop, at every scale of time.

Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, arXiv:2106.10466. Settings are the
paper's: a linear map to 64, ten blocks of dilated convolutions, 320 features, instants masked by a coin, AdamW at .001,
batches of 8, and averaged weights at the end. Its number of iterations is replaced by the time that all have.

Axis letters: B rows, T instants, D features.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.plain import batches, in_parts, padded
from benchmarks.league.task import Cells, Task

HIDDEN, WIDTH, DEPTH, RATE, BATCH, LONGEST = 64, 320, 10, 1e-3, 8, 1500
AVERAGED = 0.5
"""Weights are averaged over the last half of the time: an average from the first step on would keep the start."""


class Ts2vec(Contestant):
    """The whole method: timestamp masking, overlapping crops, hierarchical loss, maximum over time."""

    title, standing = "TS2Vec", "peer"

    def suits(self, task: Task) -> bool:
        """One field of series."""
        return set(task.kinds.values()) == {"series"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Steps until the time is up."""
        budget.begin()
        (field,) = task.kinds
        rows = padded(task.train[field], LONGEST)
        mean, std = np.nanmean(rows, (0, 1)), np.nanstd(rows, (0, 1)) + 1e-8

        def ready(cells: Cells) -> Tensor:
            return torch.from_numpy((padded(cells, LONGEST) - mean) / std)

        x, net = ready(task.train[field]), Net(rows.shape[2])
        average = torch.optim.swa_utils.AveragedModel(net)
        optimiser = torch.optim.AdamW(net.parameters(), RATE)
        draw, steps = np.random.default_rng(seed), 0
        for index in batches(len(x), BATCH, seed):
            loss = step(net, x[torch.from_numpy(index)], draw)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
            if budget.share >= AVERAGED:
                average.update_parameters(net)
            if budget.over:
                break
        self.facts["steps"] = steps
        judged = average.eval() if int(average.n_averaged) else net.eval()
        return lambda field, cells: in_parts(lambda part: judged(part).amax(1), ready(cells), 64)


class Net(nn.Module):
    """(B, T, C) with NaN for gaps -> (B, T, 320)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, HIDDEN)
        widths = [HIDDEN] * (DEPTH + 1) + [WIDTH]
        self.blocks = nn.Sequential(*(Block(a, b, 2**i) for i, (a, b) in enumerate(pairwise(widths))))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """In training each instant is hidden by a coin, after the linear map."""
        there = x.isfinite().all(-1)
        h = self.enter(x.nan_to_num(0.0))
        seen = there & (torch.rand(there.shape) < 0.5) if self.training else there
        return self.dropout(self.blocks((h * seen[..., None]).mT)).mT


class Block(nn.Module):
    """Two dilated convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=dilation, dilation=dilation)
        self.shortcut = nn.Conv1d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, T) -> (B, D', T)."""
        return self.shortcut(x) + self.second(F.gelu(self.first(F.gelu(x))))


def step(net: Net, x: Tensor, draw: np.random.Generator) -> Tensor:
    """The loss of two random crops of a batch, where they overlap."""
    T = x.shape[1]
    overlap = int(draw.integers(min(2, T), T + 1))
    left = int(draw.integers(0, T - overlap + 1))
    right = left + overlap
    begin, end = int(draw.integers(0, left + 1)), int(draw.integers(right, T + 1))
    shift = draw.integers(-begin, T - end + 1, len(x))  # each row's crops lie elsewhere

    def crop(a: int, b: int) -> Tensor:
        at = torch.from_numpy(shift)[:, None] + torch.arange(a, b)
        return x[torch.arange(len(x))[:, None], at]

    one = net(crop(begin, right))[:, -overlap:]
    two = net(crop(left, end))[:, :overlap]
    return hierarchical(one, two)


def hierarchical(one: Tensor, two: Tensor) -> Tensor:
    """Half of the instance-wise and half of the temporal loss, the mean over scales that halve until one is left."""
    losses = []
    while one.shape[1] > 1:
        losses.append((instances(one, two) + instances(one.transpose(0, 1), two.transpose(0, 1))) / 2)
        one, two = (F.max_pool1d(z.mT, 2).mT for z in (one, two))
    losses.append(instances(one, two) / 2)
    return torch.stack(losses).mean()


def instances(one: Tensor, two: Tensor) -> Tensor:
    """Softmax over the other rows of both crops by inner products, at each instant; with the axes exchanged, over
    instants."""
    B = len(one)
    if B == 1:
        return one.new_zeros(())
    z = torch.cat((one, two)).transpose(0, 1)  # (T, 2B, D)
    similarity = z @ z.mT
    similarity.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    partner = torch.arange(2 * B).roll(B).expand(len(z), -1)
    return F.cross_entropy(similarity.flatten(0, 1), partner.flatten())
