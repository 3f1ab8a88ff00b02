"""Tables of the documentation again, from a folder of data.

python benchmarks/reproduce.py tables --data FOLDER

Each sub-command is a file of `benchmarks/reproductions`. Finished parts lie under --out and are not computed again.
"""

import argparse
import importlib
import inspect
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTRACT = "reproduction"

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
sys.path.insert(0, str(HERE.parent))


def main() -> None:
    """Parses the command line, runs the sub-command and prints its table."""
    from benchmarks.reproductions.reproduction import Reproduction

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="TABLE")
    for file in sorted((HERE / "reproductions").glob("[a-z]*.py")):
        if file.stem == CONTRACT:
            continue
        module = importlib.import_module(f"benchmarks.reproductions.{file.stem}")
        kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Reproduction)]
        for made in (kind() for kind in kinds if kind is not Reproduction and kind.__module__ == module.__name__):
            command = commands.add_parser(file.stem, help=(module.__doc__ or "").splitlines()[0])
            command.add_argument("--data", type=Path, required=True, help="folder of the data")
            command.add_argument("--out", type=Path, default=Path("reproductions") / file.stem, help="finished parts")
            made.arguments(command)
            command.set_defaults(run=made.run)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print(asked.run(asked))


if __name__ == "__main__":
    main()
