"""What preference recipes reach on HH-RLHF (harmless, test file), paired with the rule that the shorter wins.

    python -m benchmarks.preferences --data FOLDER --recipes bradley_terry dpo --steps 150

The split is fixed: three tenths of the first questions are held out, so that no question is on both sides. Language
models are small and begin with random weights unless `--model` names a folder; then the likelihood of chosen answers
has a weight in every recipe. docs/start/preferences.md trains such a folder first.
"""

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import kontrast as kt
from kontrast.modalities.text.marks import TURN

FILE = Path("text") / "preference" / "hh_harmless_test.jsonl"
RECIPES = ("bradley_terry", "dpo", "simpo", "cpl", "click")
LANGUAGE = {"tasks.contrast.likelihood": 1.0, "plan.learning_rate": 2e-3}


def pairs(data: Path) -> dict[str, list[str]]:
    """Chosen and rejected transcripts with their side of the split."""
    rows = [json.loads(line) for line in (data / FILE).read_text(encoding="utf8").splitlines()]
    return {
        "chosen": [row["chosen"] for row in rows],
        "rejected": [row["rejected"] for row in rows],
        "split": [_side(row["chosen"]) for row in rows],
    }


def _side(transcript: str) -> str:
    question = transcript.split(TURN)[0].strip().lower()
    return "test" if int(hashlib.sha256(question.encode()).hexdigest(), 16) % 10 < 3 else "train"


def main() -> None:
    """Trains each recipe and prints a table in markdown."""
    asked = _arguments()
    table = pairs(asked.data)
    print("| recipe | chosen wins | untrained | shorter wins | difference to it | rows | steps | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in asked.recipes:
        ends = {"steps": asked.steps} if asked.steps else {"minutes": asked.minutes}
        settings: dict[str, Any] = {"plan.evaluation_rows": 1000, "plan.batch": asked.batch}
        if recipe != "bradley_terry":
            settings |= {"encoders.text.model": asked.model} if asked.model else LANGUAGE
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            run = kt.train(table, recipe=recipe, settings=settings, seed=asked.seed, out=Path(folder) / "run", **ends)
            (row,) = [row for row in run.scores if row["name"] == "chosen wins"]
            steps = json.loads((run.path / "scores.json").read_text())["steps"]
        cells = [_cell(row["trained"]), f"{row['untrained']['value']:.3f}", f"{row['raw']['value']:.3f}"]
        cells += [_cell(row["paired"]["raw"]), str(row["rows"]), str(steps), f"{time.process_time() - began:.0f}"]
        print(f"| {recipe} | {' | '.join(cells)} |", flush=True)


def _cell(value: dict[str, float]) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(
        prog="benchmarks.preferences", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--recipes", nargs="*", choices=RECIPES, default=RECIPES)
    asked.add_argument("--model", default="", help="folder of a causal language model to start from")
    asked.add_argument("--steps", type=int, default=None)
    asked.add_argument("--minutes", type=float, default=3.0)
    asked.add_argument("--batch", type=int, default=20)
    asked.add_argument("--seed", type=int, default=0)
    return asked.parse_args()


if __name__ == "__main__":
    main()
