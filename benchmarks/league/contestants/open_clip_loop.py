"""open_clip's model and loss in a plain loop, ended by the clock."""

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.plain import batches, in_parts
from benchmarks.league.task import Cells, Task
from benchmarks.simclr import MEAN, STD

SIDE, WORDS, RATE, BATCH, WARMUP = 64, 32, 5e-4, 128, 0.1


class OpenClipLoop(Contestant):
    """Its CLIP, small enough for a core, with its ClipLoss: AdamW of 5e-4, decay .2, warm-up, cosine, batches of 128.

    Two pictures of a row share the vision tower. Pictures are cropped to .9 to 1 of their area, as open_clip trains.
    """

    title, standing, needs = "open_clip loop", "peer", ("open_clip",)

    def suits(self, task: Task) -> bool:
        """Pairs with a picture in them."""
        return task.pairs and "image" in task.kinds.values()

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Steps until the time is up."""
        import open_clip
        from open_clip.loss import ClipLoss
        from open_clip.model import CLIP
        from torchvision.transforms import v2

        budget.begin()
        vision = {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 32, "patch_size": None}
        text = {"context_length": WORDS, "width": 256, "heads": 4, "layers": 3}
        model, criterion = CLIP(256, vision, text), ClipLoss()  # pyright: ignore[reportArgumentType]
        tokenize = open_clip.SimpleTokenizer(context_length=WORDS)
        crop = v2.RandomResizedCrop(SIDE, scale=(0.9, 1.0), antialias=True)
        ready: dict[str, Tensor] = {
            f: _pixels(task.train[f]) if kind == "image" else tokenize(task.train[f]) for f, kind in task.kinds.items()
        }
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
        model.train()
        steps = 0
        for index in batches(task.rows()[0], BATCH, seed):
            drawn = {f: x[torch.from_numpy(index)] for f, x in ready.items()}
            z = [_encode(model, crop(x) if x.ndim == 4 else x) for x in drawn.values()]
            done = budget.share
            for group in optimiser.param_groups:
                group["lr"] = RATE * min((done + 1e-3) / WARMUP, (1 + math.cos(math.pi * done)) / 2)
            loss: Any = criterion(*z, model.logit_scale.exp())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            steps += 1
            if budget.over:
                break
        self.facts["steps"] = steps
        model.eval()

        def embed(field: str, cells: Cells) -> np.ndarray:
            x = _pixels(cells) if task.kinds[field] == "image" else tokenize(list(cells))
            return in_parts(lambda part: _encode(model, part), x)

        return embed


def _encode(model: Any, x: Tensor) -> Tensor:
    return model.encode_image(x, normalize=True) if x.ndim == 4 else model.encode_text(x, normalize=True)


def _pixels(cells: Cells) -> Tensor:
    small = [np.asarray(Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for c in cells]
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    return (torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255 - mean) / std
