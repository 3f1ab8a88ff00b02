"""Processor time of a step of several tasks: each aggregator beside `weighted`.

    python -m benchmarks.aggregators --tasks 2 3 --rounds 21

The tasks are regressions on one small resnet over 64 pictures of 32 x 32; the aggregators take turns. A
number is the median of ratios within a round; the first round is left out.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from kontrast.core import factory, registry
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews, Encoders
from kontrast.tasks.task import Output, Task
from kontrast.training.learner import Learner
from kontrast.training.step import step


class Regression(Task):
    """Predicts a wave of the row's number."""

    def __init__(self, width: int, frequency: int) -> None:
        super().__init__()
        self.frequency, self.head = frequency, nn.Linear(width, 1)

    def views(self) -> dict[str, ViewSpec]:
        """The picture, once."""
        return {"x": ViewSpec("x")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """One number per picture."""
        return {"y": Output(self.head(encoders(batch, ["x"])["x"].pooled), "x")}

    def compute_loss(self, out: dict[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Squared differences."""
        wanted = (out["y"].keys["id"] * self.frequency).float().sin()
        return {"square": LossTerm((out["y"].z[:, 0] - wanted).square().sum(), torch.tensor(len(wanted)))}


def made(aggregator: str, count: int) -> Learner:
    """A learner of `count` tasks."""
    torch.manual_seed(0)
    network = factory.build("encoders", "resnet", {}, given={"channels": 3, "size": 32})
    encoders = Encoders({"image": network}, {"x": "image"}, EncoderInfo({"x": network.width}, {"x": None}))
    tasks = {f"task{k}": Regression(network.width, k) for k in range(1, count + 1)}
    given = {"tasks": list(tasks), "weights": dict.fromkeys(tasks, 1.0)}
    chosen = factory.build("aggregators", aggregator, {}, given=given)
    return Learner(encoders, tasks, "task1", aggregator=chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--rounds", type=int, default=21)
    asked = parser.parse_args()
    batch = {"": Batch({"task1/x": View("x", torch.randn(64, 3, 32, 32))}, {"id": torch.arange(64)})}
    print("| tasks | " + " | ".join(registry.kinds("aggregators")) + " |")
    for count in asked.tasks:
        learners = {name: made(name, count) for name in registry.kinds("aggregators")}
        spent: dict[str, list[float]] = {name: [] for name in learners}
        for seed in range(asked.rounds):
            for name, learner in learners.items():
                learner.zero_grad()
                began = time.process_time()
                step(learner, learner, batch, Ranks(), seed=seed)
                spent[name].append(time.process_time() - began)
        base = spent["weighted"]
        ratios = [statistics.median(s / b for s, b in zip(each[1:], base[1:], strict=True)) for each in spent.values()]
        print(f"| {count} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |", flush=True)


if __name__ == "__main__":
    main()
