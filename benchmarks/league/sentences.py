"""sentence-transformers' way of training, ended by the clock: its loss, its model, AdamW with a linear decay."""

from typing import Any

import torch

from benchmarks.league.contestant import Budget
from benchmarks.league.plain import batches
from benchmarks.league.task import Task

WARMUP = 0.1


def train(model: Any, task: Task, budget: Budget, seed: int, *, rate: float, batch: int) -> int:
    """MultipleNegativesRankingLoss on pairs, or on each text with itself, where dropout makes the two differ (SimCSE).

    The loop is its Trainer's: warm-up over a tenth, then down to nothing, gradients cut to length 1. Returns the steps.
    """
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    budget.begin()
    fields = list(task.kinds)
    one, two = task.train[fields[0]], task.train[fields[-1]]
    loss_of = MultipleNegativesRankingLoss(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    steps = 0
    for index in batches(len(one), batch, seed):
        features = [dict(model.preprocess([cells[i] for i in index])) for cells in (one, two)]
        done = budget.share
        for group in optimiser.param_groups:
            group["lr"] = rate * min((done + 1e-3) / WARMUP, (1 - done) / (1 - WARMUP))
        loss = loss_of(features, None)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        steps += 1
        if budget.over:
            break
    model.eval()
    return steps
