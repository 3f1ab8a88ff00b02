"""Results of a trained run: scores with their verdict, and what the report shows of single rows."""

from typing import Any

import numpy as np
import torch

from kontrast.core import containers, random_streams
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.schema import fingerprint
from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.usual import evaluators
from kontrast.evaluation.verdict import pair_measure, verdict
from kontrast.reporting.logger import Logger
from kontrast.runs import captions, messages
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model
from kontrast.runs.pipeline.held_pairs import before
from kontrast.runs.pipeline.train import TrainResult
from kontrast.runs.run import BANKS, Run

VIEWS_SHOWN = 6


def write_results(
    folder: Folder,
    model: Model,
    data: Dataset,
    ended: TrainResult,
    rows: tuple[np.ndarray, np.ndarray],
    sizes: dict[str, tuple[int, int]],
    pairs: MetricResult | None,
    logger: Logger,
) -> None:
    """Evaluates the embeddings of a run, and writes scores.json and samples.json.

    Args:
        folder: The run folder, with embeddings of the trained and the untrained encoder and raw features.
        model: The trained model.
        data: The dataset.
        ended: How training ended.
        rows: Training and held-out rows that are evaluated.
        sizes: Part -> the rows evaluated and the rows there are.
        pairs: AUC of positive against random pairs of the trained model; None without positive pairs.
        logger: Receives verdict, scores and captions.
    """
    run = Run(folder.path, folder.trusts)
    embeddings = {which: (run.embeddings(f"{which}-train"), run.embeddings(f"{which}-test")) for which in BANKS}
    scores = evaluate(evaluators(model.experiment), embeddings, model.experiment.seed)
    reached = verdict(
        scores,
        pairs=pair_measure(pairs, before(folder)),
        collapsed=bool(ended.collapsed),
        how=ended.collapsed,
        short=ended.short,
        causes=ended.causes,
        kept=ended.kept,
    )
    captioned = captions.samples(model, data, rows[1])
    shown = _samples(model, data, rows[1])
    folder.write_json("samples.json", shown | ({"captions": captioned} if captioned else {}))
    folder.write_json(
        "scores.json",
        {
            "verdict": reached.to_json(),
            "steps": ended.steps,
            "seconds": ended.seconds,
            "rows": {part: {"evaluated": n, "of": of} for part, (n, of) in sizes.items()},
            "data": {part: _word(data, index) for part, index in zip(("train", "test"), rows, strict=True)},
            "scores": scores,
        },
    )
    logger.fact("verdict", messages.verdict(reached))
    logger.fact("scores", messages.scores(scores))
    if captioned:
        logger.fact("captions", captions.words(captioned))


def _word(data: Dataset, rows: np.ndarray) -> str:
    """The fingerprint of the rows that a score was computed on."""
    return fingerprint.of_rows(data.ids[rows], {name: codes[rows] for name, codes in data.content.items()})


def _samples(model: Model, data: Dataset, rows: np.ndarray) -> dict[str, Any]:
    """Thumbnails of all evaluated rows, and augmented views of a few training rows."""
    shown: dict[str, list[str | None]] = {}
    for name, modality in model.modalities.items():
        has = data.stores[name].has[rows]
        packed = iter(data.stores[name].rows(rows[has]))
        shown[name] = [modality.show(next(packed)) if there else None for there in has]
    views = []
    for name, modality in model.modalities.items():
        few = np.flatnonzero(data.stores[name].has & data.training)[:VIEWS_SHOWN]
        batch = modality.batch(data.stores[name], few, None)
        ids = torch.from_numpy(data.keys[few])
        drawn = [
            modality.augment(containers.cloned(batch), random_streams.key(model.experiment.seed, 0, ids, n), ids)
            for n in range(3)
        ]
        for k, row in enumerate(few):
            looks = [modality.look(view[k]) for view in drawn]
            views.append(
                {
                    "id": str(data.ids[row]),
                    "field": name,
                    "original": modality.show(data.stores[name].rows(few[k : k + 1])[0]),
                    "views": looks,
                }
            )
    return {"thumbnails": shown, "views": views}
