"""A run as trackers are told of it: its moments and its scores."""

from kontrast.reporting.logger import hearing
from kontrast.training.health import Health
from kontrast.training.loop import StepRecord

SCORE = {"value": 0.75, "low": 0.7, "high": 0.8}
SCORES = [
    {"name": "photo>text R@1", "trained": SCORE, "untrained": {**SCORE, "value": 0.25}, "raw": None},
    {"name": "kNN accuracy", "trained": None, "untrained": None, "raw": None},
    {"name": "spread", "trained": {"value": None, "low": None, "high": None}, "untrained": None, "raw": None},
]
FOUND = {"scores": SCORES, "verdict": {"state": "learning", "words": "", "causes": []}, "steps": 12, "seconds": 1.0}


def moment(step, total=12):
    health = Health(3.0, 8, 0.9, 0.1, -1.0, 8) if step == 4 else None
    return StepRecord(step, total, 0, 5 / step, {"contrast": 5 / step}, 100.0, 0.1, 1.0, 1e-3, 1.0, 8, 7, 0, health)


def logged(logger, folder, steps, finish=True):
    with hearing(logger, folder.path):
        logger.fact("data", "120 rows\nall readable")
        for step in steps:
            logger.moment(moment(step))
        if finish:
            folder.write_json("scores.json", FOUND)
