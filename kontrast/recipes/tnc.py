"""TNC: a window of a series is like the windows around it, and mostly unlike distant windows of the series.

Take it for one field of long time series that pass through states, such as activities or phases of sleep. For short
series of one class each take `tloss` or `ts2vec`. For example `kontrast train recordings.npz --recipe tnc --set
tasks.contrast.window=50`, then `kontrast instants` for a vector per window.

Parts: task `tnc`, a discriminator of pairs of windows, a Dickey-Fuller test for the width of the neighbourhood.
Settings: weight 0.05 for distant windows of the same state, as in the authors' code; windows of an eighth of the
longest row, and five pairs per window where the authors' code draws five to twenty.
Reference: Tonekaboni, Eytan, Goldenberg 2021, arXiv:2106.00750.
"""

from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The task alone; the view and the encoder follow from the data."""
    return Experiment(tasks=one_task("tnc"))
