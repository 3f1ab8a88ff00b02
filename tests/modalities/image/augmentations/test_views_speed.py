"""The speed of views, as ratios on one thread: whole batches against the same rows one by one or in small parts."""

import time

import pytest
import torch

from kontrast.core import random_streams
from kontrast.modalities.image.image import Image

pytestmark = pytest.mark.perf

ROUNDS = 7  # the smallest counts: whatever else the machine does only ever adds


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seconds_in_parts(size, rows, *parts):
    """Processor seconds of a tensor of so many views, drawn at so many a call: the smallest of rounds in turns."""
    image = Image(size=size, channels=3, mean=[0.5] * 3, std=[0.25] * 3)
    batch = torch.randint(0, 256, (rows, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    keys = random_streams.key(0, 0, torch.arange(rows), 0)
    best = dict.fromkeys(parts, float("inf"))
    for _ in range(ROUNDS):
        for part in parts:
            begun = time.process_time()
            views = [image.augment(*some) for some in zip(batch.split(part), keys.split(part), strict=True)]
            _ = views[0] if part == rows else torch.cat(views)
            best[part] = min(best[part], time.process_time() - begun)
    return [best[part] for part in parts]


def test_a_batch_of_small_pictures_is_many_times_faster_than_its_rows_one_by_one():
    whole, single = seconds_in_parts(32, 128, 128, 1)
    assert single / whole > 8


def test_a_batch_of_large_pictures_is_faster_than_small_parts_of_it():
    """What is held between the steps stays in the cache; for a whole batch it would take fresh memory each time."""
    whole, small = seconds_in_parts(224, 64, 64, 4)
    assert whole / small < 0.9
