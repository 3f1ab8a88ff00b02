"""Class balance: rows per label, and classes too small to evaluate."""

import numpy as np

from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding

_SKEW, _FEW = 20.0, 5


class Balance(Examination):
    """Reports class sizes, imbalance, classes unseen in training and classes too small to evaluate.

    Labels serve evaluation and are used for training only on request; scores of small classes mean little.
    """

    place = 40

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact on the classes, then a finding per problem with them."""
        labels, held_out = case.data.labels, case.data.held_out
        if labels is None:
            return [Finding("labels", "fact", "no label column: scores will be of retrieval and geometry alone")]
        names, counts = np.unique(labels[labels != ""], return_counts=True)
        if len(names) < 2:
            return [Finding("labels", "warning", "fewer than two classes: no score can tell classes apart", {})]
        most, least = int(counts.max()), int(counts.min())
        order = np.argsort(-counts, kind="stable")
        ends = f"'{names[order[0]]}' {most:,}, '{names[order[-1]]}' {least:,}"
        words = f"{len(names):,} classes, the largest {most / least:.3g}x the smallest ({ends})"
        numbers = {"classes": len(names), "largest": most, "smallest": least, "unlabelled": int((labels == "").sum())}
        found = [Finding("labels", "fact", words, numbers)]
        if most > _SKEW * least:
            words = (
                f"the largest class has {most / least:.0f} times the rows of the smallest: accuracy is mostly that of "
                f"the large ones (always '{names[order[0]]}' scores {most / counts.sum():.0%})."
            )
            found.append(Finding("imbalance", "warning", words, {"ratio": most / least}))
        if held_out.any() and not held_out.all():
            trained, tested = (set(np.unique(labels[side]).tolist()) - {""} for side in (case.data.training, held_out))
            unseen, few = sorted(tested - trained), names[counts < _FEW].tolist()
            if unseen:
                listed = ", ".join(f"'{name}'" for name in unseen[:5])
                words = f"{len(unseen):,} classes are only held out ({listed}): kNN and probe cannot know them."
                found.append(Finding("unseen classes", "warning", words, {"classes": unseen[:50]}))
            if few:
                listed = ", ".join(f"'{name}'" for name in few[:5])
                words = f"{len(few):,} classes have fewer than {_FEW} rows ({listed}): their scores are chance."
                found.append(Finding("small classes", "note", words, {"classes": few[:50]}))
        return found
