"""Processor time of a text in training: kontrast beside sentence-transformers' trainer, on the same model and texts.

    python -m benchmarks.text_step --data banking77_train.jsonl --batch 32 --steps 3 --rounds 3

kontrast: `kontrast train` on one column of texts with all-MiniLM-L6-v2, its default recipe (SimCLR, two looks at a
    text that differ by dropout), with LoRA (the default) and with all weights; the number format by its own rule, or
    float32.
sentence-transformers: SentenceTransformerTrainer with MultipleNegativesRankingLoss on pairs of a text with itself (the
    same two looks), its defaults, with all weights or with LoRA (peft, the same rank and layers); float32, its default,
    or with bf16=True.

All see the same rows once, shuffled, each row as two texts; what is counted is processor time from the end of one step
to the end of the next (tokenizing, batching, both passes, optimiser), the first step left out, with one thread. They
take turns, round after round, in an order that turns round too, all made anew. The bar is each of kontrast's two ways
in its defaults against the trainer's default: at most 1.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.league.weights import minilm, minilm_folder
from kontrast.core.experiment import Choice, Experiment, Source
from kontrast.core.task_choice import one_task
from kontrast.data.dataset.dataset import prepare
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.recipes.choosing import choose
from kontrast.reporting.logger import Logger
from kontrast.runs.build import learner_of, modalities_of
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.train import train
from kontrast.training.launcher import alone
from kontrast.training.loop import StepRecord

COLD = 1  # steps left out: they allocate
RANK = 8
THEIRS = "sentence-transformers, full, float32"  # what the bars are measured by
BARS = ("kontrast, LoRA", "kontrast, full")
Way = Literal["lora", "full"]


@dataclass
class Stopwatch(Logger):
    """Processor seconds of the process after each step."""

    at: list[float] = field(default_factory=list)

    def moment(self, moment: StepRecord) -> None:
        """A step more."""
        self.at.append(time.process_time())

    def a_text(self, batch: int) -> float:
        """Milliseconds of one text, the first one left out."""
        return 1000 * (self.at[-1] - self.at[COLD - 1]) / (len(self.at) - COLD) / (2 * batch)


@dataclass(frozen=True)
class Turn:
    """What one turn is measured over."""

    texts: list[str]
    batch: int

    @property
    def steps(self) -> int:
        """All of them, cold ones too: one pass over the texts."""
        return len(self.texts) // self.batch


def ours(turn: Turn, way: Way, precision: Literal["auto", "32"]) -> tuple[float, str]:
    """`kontrast train`, without its judging.

    Returns:
        Milliseconds of one text, and the number format that was chosen.
    """
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch, alone(torch.device("cpu")) as fleet:
        folder = Folder.fresh(Path(scratch) / "run", "benchmark")
        frame = open_frame({"text": turn.texts}, cache=folder.cache)
        fields = infer(frame, {"text": "text"}, None)
        encoder = Choice("transformer", {"model": str(minilm_folder()), "train": way, "rank": RANK})
        asked = Experiment(tasks=one_task(""), source=Source(held_out=0.0), encoders={"text": encoder})
        experiment, _ = choose(fields, asked, None)
        plan = replace(experiment.plan, steps=turn.steps, batch=turn.batch, precision=precision)
        experiment = replace(experiment, plan=plan)
        folder.write("experiment.json", experiment.to_json())
        modalities = modalities_of(experiment)
        data = prepare(frame, fields, modalities, source=experiment.source, seed=0, cache=folder.cache, fit=True)
        train(
            Model(experiment, modalities, learner_of(experiment, modalities)), data, folder, watch, fleet, resume=False
        )
        chosen = folder.experiment().plan.precision
    return watch.a_text(turn.batch), {"32": "float32"}.get(chosen, chosen)


def theirs(turn: Turn, way: Way, precision: Literal["bf16", "32"]) -> tuple[float, str]:
    """sentence-transformers' trainer; as `ours`."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    watch = Stopwatch()

    class Told(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.at.append(time.process_time())

    model = minilm()
    if way == "lora":
        from peft import LoraConfig, inject_adapter_in_model

        # Not by `model.add_adapter`, which refuses some versions of peft that work.
        layers = r"encoder.*\.(query|key|value|dense)"
        inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=layers), model[0].auto_model)
    with tempfile.TemporaryDirectory() as scratch:
        told = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=turn.batch,
            max_steps=turn.steps,
            bf16=precision == "bf16",
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        pairs = Dataset.from_dict({"anchor": turn.texts, "positive": turn.texts})
        loss = MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(model, told, train_dataset=pairs, loss=loss, callbacks=[Told()]).train()
    return watch.a_text(turn.batch), {"32": "float32"}.get(precision, precision)


CONTESTANTS: dict[str, Callable[[Turn], tuple[float, str]]] = {
    "kontrast, LoRA": partial(ours, way="lora", precision="auto"),
    "kontrast, full": partial(ours, way="full", precision="auto"),
    "kontrast, full, float32": partial(ours, way="full", precision="32"),
    THEIRS: partial(theirs, way="full", precision="32"),
    "sentence-transformers, full, bf16": partial(theirs, way="full", precision="bf16"),
    "sentence-transformers, LoRA, float32": partial(theirs, way="lora", precision="32"),
}


def read(file: Path, column: str, rows: int) -> list[str]:
    """So many different texts of a JSONL file, spread evenly over it."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf8").splitlines() if line.strip()]
    texts = list(dict.fromkeys(line[column] for line in lines))
    if len(texts) < rows:
        sys.exit(f"{file}: {len(texts)} different texts, {rows} are needed; lower --steps or --batch.")
    return [texts[k * len(texts) // rows] for k in range(rows)]


def tokens(texts: list[str], batch: int) -> str:
    """How long the texts are, and how long a batch that is padded to its longest."""
    from transformers import AutoTokenizer

    coder = AutoTokenizer.from_pretrained(minilm_folder(), local_files_only=True)
    lengths = [len(ids) for ids in coder(texts)["input_ids"]]
    longest = statistics.mean(max(lengths[k : k + batch]) for k in range(0, len(lengths), batch))
    return f"{statistics.mean(lengths):.1f} tokens a text, {longest:.1f} padded to the longest of a batch"


def table(found: dict[str, list[float]], formats: dict[str, str]) -> list[str]:
    """A line a contestant."""
    lines = ["| who | format | ms a text, median | from to | times the trainer | |", "|---|---|---|---|---|---|"]
    for name, taken in found.items():
        over = statistics.median(a / b for a, b in zip(taken, found[THEIRS], strict=True)) if THEIRS in found else 0.0
        bar = f"{'pass' if over <= 1 else '**FAIL**'} (at most 1)" if over and name in BARS else ""
        middle = statistics.median(taken)
        lines.append(
            f"| {name} | {formats[name]} | {middle:.1f} | {min(taken):.1f} to {max(taken):.1f} | {over:.2f} | {bar} |"
        )
    return lines


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, required=True, help="a JSONL file")
    asked.add_argument("--column", default="text")
    asked.add_argument("--batch", type=int, default=32)
    asked.add_argument("--steps", type=int, default=6, help="measured in a turn")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--only", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    given = asked.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    turn = Turn(read(given.data, given.column, (given.steps + COLD) * given.batch), given.batch)
    found: defaultdict[str, list[float]] = defaultdict(list)
    formats: dict[str, str] = {}
    for k in range(given.rounds):
        for name in given.only[:: (-1) ** k]:
            taken, formats[name] = CONTESTANTS[name](turn)
            found[name].append(taken)
            print(f"round {k + 1}, {name}, {formats[name]}: {taken:.1f} ms", file=sys.stderr, flush=True)
    print("\n".join(table({name: found[name] for name in given.only}, formats)))
    named = ("kontrast", "sentence-transformers", "transformers", "peft", "torch")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    print(f"\n{versions}; 1 thread, processor time; batches of {given.batch}, {tokens(turn.texts, given.batch)}")


if __name__ == "__main__":
    main()
