"""Verification and few-shot classification: their numbers are those of slow loops, and their intervals hold them."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from kontrast.evaluation.eer import EER, equal_error_rate
from kontrast.evaluation.evaluate import evaluate
from kontrast.evaluation.few_shot import FewShot, draw
from kontrast.evaluation.intervals import find_all, interval
from tests.support.banks import bank, blobs, several, values

pytestmark = pytest.mark.quick


def slow_eer(z, labels):
    """Where the polyline through the errors of all thresholds crosses the diagonal."""
    near = [(round(float(z[i] @ z[j]), 6), labels[i] == labels[j]) for i, j in combinations(range(len(z)), 2)]
    same, other = ([cos for cos, alike in near if alike is which] for which in (True, False))
    before = (0.0, 1.0)
    for threshold in [*sorted({cos for cos, _ in near}), 2.0]:
        rejected = sum(cos < threshold for cos in same) / len(same)
        accepted = sum(cos >= threshold for cos in other) / len(other)
        if rejected >= accepted:
            share = (before[1] - before[0]) / (before[1] - before[0] + rejected - accepted)
            return before[0] + share * (rejected - before[0])
        before = (rejected, accepted)
    raise AssertionError("the curve never crosses")


@pytest.mark.parametrize("noise", [0.5, 1.5, 5.0])
def test_the_equal_error_rate_is_that_of_a_loop_over_thresholds(noise):
    test = blobs(40, noise=noise)
    test.labels[::9] = ""
    known = test.labels != ""
    wanted = slow_eer(test.z["image"][known].astype(np.float64), test.labels[known].tolist())
    found = EER()(test, test)["EER"]
    assert found.value == pytest.approx(wanted, abs=1e-3)
    assert (found.rows, found.chance, found.higher_is_better) == (known.sum(), 0.5, False)


def test_ties_count_as_random_orders_do():
    z = np.repeat(np.eye(3), 4, axis=0)[np.random.default_rng(1).permutation(12)]
    y = np.arange(12) % 2
    assert equal_error_rate(z.astype(np.float32), y) == pytest.approx(slow_eer(z, y.tolist()))
    assert equal_error_rate(np.ones((12, 1), np.float32), y) == pytest.approx(0.5)
    perfect = np.eye(2, dtype=np.float32)[y]
    assert equal_error_rate(perfect, y) == 0
    assert equal_error_rate(perfect, np.arange(12) // 2 % 6) > 0.3


def test_fields_are_verified_each_and_whole():
    test = several(60)
    found = EER()(test, test)
    assert list(found) == ["EER", "google EER", "twitter EER"]
    one = replace(test, z={"google": test.z["google"]})
    assert EER()(one, one)["EER"].value == pytest.approx(found["google EER"].value, abs=1e-6)


def slow_few_shot(z, classes, shot, way, take, episodes):
    """Mean accuracy over the same episodes, a row at a time."""
    from kontrast.core import random_streams

    rng, shares = np.random.default_rng([random_streams.folded(0), shot]), []
    for rows in draw(rng, classes, way, take, episodes):
        means, right = [z[line[:shot]].mean(0) for line in rows], []
        for c, line in enumerate(rows):
            for row in line[shot:]:
                if row >= 0:
                    right.append(min(range(way), key=lambda k: ((z[row] - means[k]) ** 2).sum()) == c)
        shares.append(np.mean(right))
    return np.mean(shares)


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_few_shot_accuracy_is_that_of_a_loop_over_episodes(noise):
    from kontrast.evaluation.spaces import spaces

    test = blobs(70, classes=7, noise=noise)
    test.labels[::9] = ""
    space = spaces(test)[0].labelled()
    z = space.z.astype(np.float64)
    found = FewShot(way=3, shots=(1, 4), queries=6, episodes=40)(test, test)
    for shot in (1, 4):
        classes = [np.flatnonzero(space.labels == label) for label in np.unique(space.labels)]
        classes = [index for index in classes if len(index) > shot]
        wanted = slow_few_shot(z, classes, shot, 3, shot + 6, 40)
        one = found[f"{shot}-shot accuracy"]
        assert one.value == pytest.approx(wanted, abs=2e-3)
        assert (one.rows, one.chance) == (sum(map(len, classes)), pytest.approx(1 / 3))


def test_episodes_draw_classes_and_rows_once_and_all_alike():
    classes = [np.arange(0, 9), np.arange(9, 12), np.arange(12, 20), np.arange(20, 29)]
    drawn = draw(np.random.default_rng(0), classes, 3, 5, 2000)
    assert drawn.shape == (2000, 3, 5)
    for rows in drawn[:50]:
        there = rows[rows >= 0]
        assert len(set(there.tolist())) == len(there)
        of = [{k for k, index in enumerate(classes) if row in index} for line in rows for row in line[:1]]
        assert len(set.union(*of)) == 3
        for line in rows:
            (k,) = (k for k, index in enumerate(classes) if line[0] in index)
            assert set(line.tolist()) - {-1} <= set(classes[k].tolist())
            assert (line >= 0).sum() == min(5, len(classes[k]))
    often = np.bincount(drawn[drawn >= 0], minlength=29) / (2000 * 0.75)
    np.testing.assert_allclose(often, np.repeat([5 / 9, 1, 5 / 8, 5 / 9], [9, 3, 8, 9]), atol=0.06)


def test_what_is_known_is_not_asked_and_more_shots_help():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 10
    noise = bank(rng.normal(size=(200, 16)), y)
    found = FewShot()(noise, noise)
    assert found["1-shot accuracy"].value == pytest.approx(0.2, abs=0.03)
    assert found["5-shot accuracy"].value == pytest.approx(0.2, abs=0.05)
    test = blobs(200, classes=10, noise=1.0)
    found = values(FewShot()(test, test))
    assert 0.3 < found["1-shot accuracy"] < found["5-shot accuracy"] - 0.03
    assert values(FewShot(seed=1)(test, test)) != found == values(FewShot()(test, test))
    few = FewShot(shots=(1, 30))(test, test)
    assert list(few) == ["1-shot accuracy"]


@pytest.mark.parametrize("score", [EER(), FewShot(episodes=50)], ids=["eer", "few_shot"])
def test_the_interval_holds_the_number_of_very_many_rows(score):
    truth = values(score(*[blobs(2500, noise=1.5, seed=77)] * 2))
    held = dict.fromkeys(truth, 0)
    for seed in range(30):
        test = blobs(60, noise=1.5, seed=seed)
        for name, found in find_all([score], test, test).items():
            low, high = interval(found)
            held[name] += low <= truth[name] <= high
    assert min(held.values()) >= 25, held


def test_no_pair_is_verified_and_no_class_known_without_labels_that_repeat():
    test = bank(np.random.default_rng(0).normal(size=(12, 4)), [f"c{n}" for n in range(12)])
    assert EER().why_not(test, test) == "no label has two rows"
    assert FewShot().why_not(test, test) == "fewer than two classes with 2 test rows"
    assert EER()(test, test) == FewShot()(test, test) == {}


def test_the_order_of_rows_changes_nothing():
    test = several(50)
    other = test.take(np.random.default_rng(0).permutation(50))
    for score in (EER(), EER(rows=20), FewShot()):
        assert values(score(other, other)) == pytest.approx(values(score(test, test)), abs=1e-6)


def test_they_stand_beside_raw_and_untrained_with_a_paired_difference():
    banks = {"trained": blobs(80, noise=0.5), "untrained": blobs(80, noise=2.0), "raw": blobs(80, noise=3.0)}
    table = evaluate([EER(), FewShot()], {which: (one, one) for which, one in banks.items()})
    assert [row["name"] for row in table] == ["EER", "1-shot accuracy", "5-shot accuracy"]
    for row in table:
        sign = 1 if row["higher_is_better"] else -1
        assert sign * row["trained"]["value"] > sign * row["untrained"]["value"]
        low, high = (sign * row["paired"]["untrained"][end] for end in ("low", "high"))
        assert min(low, high) > 0
