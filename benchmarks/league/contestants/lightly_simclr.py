"""lightly's documented SimCLR loop, ended by the clock."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.plain import batches, in_parts
from benchmarks.league.task import Cells, Task
from benchmarks.simclr import MEAN, STD, Backbone, Pooled

BATCH, RATE, TEMPERATURE = 256, 0.06, 0.5


class LightlySimclr(Contestant):
    """resnet18 of torchvision, SimCLRTransform, SimCLRProjectionHead, NTXentLoss; SGD of .06 with a cosine."""

    title, standing, needs = "lightly SimCLR", "peer", ("lightly",)

    def suits(self, task: Task) -> bool:
        """One field of pictures."""
        return list(task.kinds.values()) == ["image"]

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Views are drawn in this process, since its loader's workers would have time of their own."""
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead
        from lightly.transforms import SimCLRTransform

        budget.begin()
        (field,) = task.kinds
        side = min(64, task.train[field][0].shape[0])
        transform, criterion = SimCLRTransform(input_size=side, gaussian_blur=0.0), NTXentLoss(TEMPERATURE)
        backbone = Pooled(Backbone())
        model = nn.Sequential(backbone, SimCLRProjectionHead(512, 512, 128)).train()
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
        pictures, steps = [Image.fromarray(cell) for cell in task.train[field]], 0
        for index in batches(len(pictures), BATCH, seed):
            views = [transform(pictures[i]) for i in index]
            one, two = (torch.stack(part) for part in zip(*views, strict=True))
            for group in optimiser.param_groups:
                group["lr"] = RATE * (1 + math.cos(math.pi * budget.share)) / 2
            loss = criterion(model(one), model(two))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
            if budget.over:
                break
        self.facts["steps"] = steps
        backbone.eval()
        return lambda field, cells: in_parts(backbone, _normalised(cells, side))


def _normalised(cells: Cells, side: int) -> Tensor:
    images = [np.asarray(Image.fromarray(c).resize((side, side))) if c.shape[0] != side else c for c in cells]
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std
