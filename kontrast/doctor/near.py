"""Near duplicates within and across fields: resaved images, texts with a typo, noisy series."""

from kontrast.core.number_format import many
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding, gravest

_MANY, _ANY = 0.05, 0.005


class Near(Examination):
    """Finds near-duplicate rows, which become false negatives in training and inflate scores.

    Images are compared at 16 x 16 pixels minus their mean, series and other kinds by their raw features, both by
    cosine. A pair counts if its cosine is at least .95 and it is so much closer than a row's 10th neighbour that chance
    would bring 1 row in 10,000 that close. Texts count if they are equal except for case and punctuation, or if at most
    12 % of the longer text's trigrams are missing in the other and both have the same numbers.

    Rate on unmodified data: .1 % of rows of CIFAR-10, Omniglot and chest x-rays (some are real duplicates), a median of
    zero over 28 series datasets, 0 to 5 % of short texts, which do repeat. Detected: nearly all images that were saved
    as JPEG at quality 60, halved or given noise; most that were made brighter; fewer of those cropped by a pixel the
    smaller they are (7 % at 28 pixels); series with noise unless other series are just as close.
    """

    place = 31

    def __call__(self, case: Case) -> list[Finding]:
        """Returns findings on near duplicates within and across fields, or a fact without any."""
        found = [*_within(case), *_across(case)]
        return found or [Finding("near", "fact", f"no near copies; compared: {_compared(case)}", {"rows": 0})]


def _within(case: Case) -> list[Finding]:
    described, levels, numbers, shown, conflicts = [], [], {}, [], []
    for name, pairs in case.near.items():
        if not len(pairs.rows):
            continue
        groups = pairs.groups
        rows = sum(map(len, groups))
        share = rows / pairs.compared
        described.append(f"{name} {rows:,} of {pairs.compared:,} ({share:.1%}) in {many(len(groups), 'group')}")
        levels.append("warning" if share > _MANY else "note")
        labels = case.data.labels
        if labels is not None:
            one, other = labels[pairs.rows[:, 0]], labels[pairs.rows[:, 1]]
            conflicts += pairs.rows[(one != other) & (one != "") & (other != "")].tolist()
        numbers[name] = {"rows": rows, "groups": len(groups), "largest": len(groups[0]), "pairs": len(pairs.rows)}
        numbers[name] |= {"compared": pairs.compared}
        shown += pairs.rows[:2].tolist()
    if not described:
        return []
    words = (
        f"rows that hardly differ from another: {'; '.join(described)}. As negatives they push apart what is alike. "
        "Keep one of each group where they are copies."
    )
    found = [Finding("near copies", gravest(levels), words, numbers, case.paired(shown))]
    if conflicts:
        words = f"{len(conflicts):,} pairs of near copies have different labels: one is wrong, or they only look alike."
        found.append(Finding("conflicting labels", "note", words, {"pairs": len(conflicts)}, case.paired(conflicts)))
    return found


def _across(case: Case) -> list[Finding]:
    found = []
    for (one, other), pairs in case.crossed.items():
        same = pairs.rows[pairs.rows[:, 0] == pairs.rows[:, 1]]
        apart = pairs.rows[pairs.rows[:, 0] != pairs.rows[:, 1]]
        numbers = {"fields": [one, other], "same row": len(same), "other rows": len(apart), "compared": pairs.compared}
        share = len(same) / max(len(case.data), 1)
        if share > _ANY:
            words = (
                f"{one} and {other} are equal or nearly equal in {len(same):,} rows ({share:.1%}): such a pair is "
                "matched without learning anything. If one was copied from the other, leave it out: "
                "--field NAME=ignore."
            )
            level = "warning" if share > _MANY else "note"
            found.append(Finding("near-duplicate columns", level, words, numbers, case.named(same[:, 0])))
        if len(apart):
            words = (
                f"{one} of one row is equal or nearly equal to {other} of another row {len(apart):,} times: training "
                "takes them for negatives, though they match. Check how the rows were joined."
            )
            level = "warning" if len(apart) > _MANY * len(case.data) else "note"
            found.append(Finding("crossed", level, words, numbers, case.paired(apart)))
    return found


def _compared(case: Case) -> str:
    parts = []
    for name, pairs in case.near.items():
        all_there = len({*case.content[name][case.content[name] >= 0].tolist()})
        of = "" if pairs.compared == all_there else f" (drawn evenly out of {all_there:,})"
        parts.append(f"{pairs.compared:,} of {name}{of}")
    return ", ".join(parts)
