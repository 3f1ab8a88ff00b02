"""SimSiam: from one view, predicts the embedding of the other, which gets no gradient.

Take it for data without labels if negatives are unwanted and memory for a second encoder is scarce. With
`--set method.stop_gradient=false` it collapses, which shows what the stop-gradient is for.

Parts: task `simsiam`, negative cosine, a predictor with a bottleneck.
Settings: head of two layers of width 512, three of 2,048 in the paper; bottleneck a quarter of that, as in the paper.
Reference: Chen & He 2021, arXiv:2011.10566.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment


def experiment() -> Experiment:
    """The method and its settings; views and encoders follow from the data."""
    return Experiment(method=Choice("simsiam"))
