"""What keeps a run of series short, and a logger that keeps its first screen."""

from kontrast.reporting.logger import Logger

QUICK = {"plan.precision": "32", "encoders.series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2}, "scores": []}


class Facts(Logger):
    """Keeps what the first screen says."""

    def __init__(self):
        self.said = {}

    def fact(self, name, words):
        self.said[name] = words
