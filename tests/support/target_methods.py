"""A method that learns from labels, several labels, numbers and groups, and a recipe that chooses it."""

import torch

from kontrast.core.embeddings import Embeddings
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.view import ViewSpec
from kontrast.layers.head import Head
from kontrast.layers.proxies import Proxies
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.shared_labels import SharedLabels
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.tasks.task import Output, Task


class FromTargets(Task):
    """SupCon by label, with class centres; softly by several labels and by a number."""

    max_fields = 1
    needs = frozenset({"label", "labels", "number"})

    def __init__(self, encoders, *, classes, samples):
        super().__init__()
        (self.field,) = encoders.fields
        self.head = Head(in_width=encoders.widths[self.field], hidden=16, width=8)
        self.proxies = Proxies(classes=classes, width=8)
        self.register_buffer("seen", torch.zeros(samples))

    def views(self):
        return {"one": ViewSpec(self.field), "two": ViewSpec(self.field)}

    def forward(self, encoders, batch):
        return {name: Output(self.head(f.pooled), name) for name, f in encoders(batch, ["one", "two"]).items()}

    def compute_loss(self, rows, ranks):
        both = Embeddings.stack(*rows.values())
        centres = self.proxies()
        known = both[both.keys["label"] >= 0]
        terms = {
            "label": contrast(both, both, SameKey("label"), loss=InfoNCE(), kernel=Cosine(temperature=0.3)),
            "several": contrast(
                both, both, SharedLabels("labels", how="any"), loss=InfoNCE(), kernel=Cosine(temperature=0.3)
            ),
            "centres": contrast(known, centres, SameKey("label"), loss=InfoNCE(), kernel=Cosine(temperature=0.3)),
        }
        numbered = both[~both.keys["number"].isnan()]
        softly = contrast(
            numbered, numbered, TargetSimilarity("number"), loss=InfoNCE(), kernel=Cosine(temperature=0.3)
        )
        return {**terms, "number": softly}

    def positive_pairs(self, rows):
        return [(rows["one"], rows["two"])]


def experiment() -> Experiment:
    """The method alone; everything else as usual."""
    return Experiment(tasks=one_task("tests.support.target_methods:FromTargets"))
