"""Steps a second of the default image network while other programs compute, beside an idle machine.

    python -m benchmarks.busy [--rounds 3] [--seconds 6] [--loops 1] [--counts default,1000,...]

Each round runs every setting once idle and once beside pinned busy loops, in turns, each in a process of its own, so
that what else the machine does meets all alike. Of the rounds the medians count. Settings: `default` (nothing set, as
a Python script has it), a number (GOMP_SPINCOUNT, what the command line sets), `passive` (OMP_WAIT_POLICY).
"""

import argparse
import os
import statistics
import subprocess
import sys

STEP = """
import sys, time, torch
from torch import nn
from kontrast.encoders.resnet import ResNet
from kontrast.losses.functional import ntxent
torch.manual_seed(0)
net = nn.Sequential(ResNet(channels=3, size=32), nn.Linear(512, 128))
ways = torch.optim.AdamW(net.parameters(), 1e-3)
x = torch.randn(2 * int(sys.argv[2]), 3, 32, 32)
def step():
    ways.zero_grad()
    z = net[1](net[0](x).pooled)
    ntxent(*z.chunk(2)).backward()
    ways.step()
step()
count, began, used = 0, time.perf_counter(), time.process_time()
while time.perf_counter() - began < float(sys.argv[1]):
    step()
    count += 1
wall = time.perf_counter() - began
print(count / wall, (time.process_time() - used) / wall)
"""
LOOP = "import os\nos.sched_setaffinity(0, {int(os.environ['CORE'])})\nwhile True: pass"


def rate(setting: str, seconds: float, loops: int, batch: int, threads: int) -> tuple[float, float]:
    """(steps a second, processors used) of one process, beside so many busy loops, each pinned to a core of its own."""
    own = {"default": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}.get(setting, {"GOMP_SPINCOUNT": setting})
    bare = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    bare["OMP_NUM_THREADS"] = str(threads)
    cores = sorted(os.sched_getaffinity(0))
    busy = [
        subprocess.Popen([sys.executable, "-c", LOOP], env={**bare, "CORE": str(cores[n % len(cores)])})
        for n in range(loops)
    ]
    try:
        words = [sys.executable, "-c", STEP, str(seconds), str(batch)]
        done = subprocess.run(words, env={**bare, **own}, capture_output=True, text=True, check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    steps, used = map(float, done.stdout.split())
    return steps, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--loops", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--counts", default="default,1000,5000,passive")
    asked = parser.parse_args()
    settings = asked.counts.split(",")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    for number in range(asked.rounds):
        for loops in (0, asked.loops):
            for setting in settings if number % 2 == 0 else settings[::-1]:
                one = rate(setting, asked.seconds, loops, asked.batch, asked.threads)
                found.setdefault((setting, loops), []).append(one)
                print(
                    f"round {number + 1}  {setting:>8}  {loops} loops  {one[0]:6.2f} steps/s  {one[1]:.2f} processors"
                )
    idle = statistics.median(r for r, _ in found["default", 0])
    print(f"\n{'setting':>8}  idle steps/s  of default  beside {asked.loops} loops  of default's idle")
    for setting in settings:
        alone, beside = (statistics.median(r for r, _ in found[setting, n]) for n in (0, asked.loops))
        print(f"{setting:>8}  {alone:12.2f}  {alone / idle:10.0%}  {beside:14.2f}  {beside / idle:17.0%}")


if __name__ == "__main__":
    main()
