"""`python -m tests.fuzz --minutes 10 csv jsonl`: readers one after the other, guided by coverage.

Findings (inputs that end otherwise than in a value or a refusal) lie in --out/READER/found, each kind once with its
traceback; the run goes on after them, after a hang and after a crash too.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .readers import READERS


def main() -> None:
    """All named readers, or all there are."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    arguments.add_argument("--minutes", type=float, default=10, help="for each reader")
    arguments.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "kontrast-fuzz")
    asked = arguments.parse_args()
    unknown = set(asked.readers) - set(READERS)
    if unknown:
        arguments.error(f"no reader {', '.join(unknown)}; there is: {', '.join(READERS)}")
    found = 0
    for name in asked.readers or READERS:
        out = asked.out / name
        (out / "found").mkdir(parents=True, exist_ok=True)
        before = set((out / "found").iterdir())
        end = time.monotonic() + 60 * asked.minutes
        while (left := int(end - time.monotonic())) > 5:  # again, after what ended the process
            subprocess.run([sys.executable, "-m", f"{__package__}.guided", name, str(left), str(out)], check=False)
        new = set((out / "found").iterdir()) - before
        found += len(new)
        print(f"{name}: {asked.minutes:g} minutes, {len(new)} files with findings in {out / 'found'}", flush=True)
    sys.exit(bool(found))


main()
