"""Methods that the verdict must judge though their losses are nothing like InfoNCE, and recipes that choose them."""

import torch

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.schema.fingerprint import numbers
from kontrast.data.view import ViewSpec
from kontrast.layers.head import Head
from kontrast.losses.alignment.negative_cosine import NegativeCosine
from kontrast.losses.alignment.vicreg import VICReg
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey
from kontrast.tasks.task import Output, Task

CLASSES = 3  # of tests.support.series' waves: row n is of kind n % 3


class Views(Task):
    """Two views of one field through encoder and head; what they are compared by is left open."""

    max_fields = 1

    def __init__(self, encoders):
        super().__init__()
        (self.field,) = encoders.fields
        self.head = Head(in_width=encoders.widths[self.field], hidden=32, width=16)

    def views(self):
        return {"one": ViewSpec(self.field), "two": ViewSpec(self.field)}

    def forward(self, encoders, batch):
        return {name: Output(self.head(f.pooled), name) for name, f in encoders(batch, ["one", "two"]).items()}

    def positive_pairs(self, rows):
        return [(rows["one"], rows["two"])]


class Supervised(Views):
    """SupCon: rows of one kind attract; with half of all candidates positive the loss stays near its start."""

    def __init__(self, encoders):
        super().__init__(encoders)
        ids = numbers(str(n) for n in range(1000))
        self.kinds = dict(zip(ids.tolist(), (n % CLASSES for n in range(1000)), strict=True))

    def compute_loss(self, rows, ranks):
        both = Embeddings.stack(*rows.values())
        kind = torch.tensor([self.kinds[row] for row in both.keys["id"].tolist()])
        both = Embeddings(both.z, {**both.keys, "kind": kind})
        return {"supcon": contrast(both, both, SameKey("kind"), loss=InfoNCE(), kernel=Cosine(temperature=0.3))}


class WithoutNegatives(Views):
    """VICReg: no candidate repels, so that the logarithm of their number is 0."""

    def __init__(self, encoders):
        super().__init__(encoders)
        self.loss = VICReg()

    def compute_loss(self, rows, ranks):
        return {"align": self.loss(rows["one"], rows["two"])}


class Spoiling(Views):
    """Drives the views of a row apart, which no method should."""

    def compute_loss(self, rows, ranks):
        pulled = NegativeCosine()(rows["one"], rows["two"])
        return {"apart": LossTerm(-pulled.total, pulled.count)}


def supervised() -> Experiment:
    return Experiment(tasks=one_task("tests.support.verdict_methods:Supervised"))


def without_negatives() -> Experiment:
    return Experiment(tasks=one_task("tests.support.verdict_methods:WithoutNegatives"))


def spoiling() -> Experiment:
    return Experiment(tasks=one_task("tests.support.verdict_methods:Spoiling"))
