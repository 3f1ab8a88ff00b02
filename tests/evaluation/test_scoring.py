"""Scoring: every number is what a slow loop in float64 finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kontrast.evaluation.clustering import Clustering, agreement
from kontrast.evaluation.geometry import Geometry, effective_rank
from kontrast.evaluation.intervals import find_all, interval
from kontrast.evaluation.knn import KNN
from kontrast.evaluation.linear import Linear, fit, folds
from kontrast.evaluation.retrieval import Retrieval
from kontrast.evaluation.spaces import present, spaces
from tests.support.banks import bank, blobs, several, values

pytestmark = pytest.mark.quick

JUDGES = [KNN(), Linear(strengths=(0.01, 0.1)), Retrieval(), Clustering(), Geometry()]


# ---- slow loops


def slow_knn(train, test, k, temperature):
    z, right, asked = train.z["image"].astype(np.float64), 0, 0
    known = [i for i in range(len(train)) if train.labels[i] != ""]
    k = max(1, min(k, int((len(known) / len({train.labels[i] for i in known})) ** 0.5)))
    for i in range(len(test)):
        if test.labels[i] == "":
            continue
        near = sorted(((float(z[j] @ test.z["image"][i].astype(np.float64)), j) for j in known), reverse=True)[:k]
        votes = {}
        for similarity, j in near:
            weight = np.exp(similarity / temperature) if temperature else 1
            votes[train.labels[j]] = votes.get(train.labels[j], 0) + weight
        best = min(votes, key=lambda label: (-votes[label], label))
        right, asked = right + (best == test.labels[i]), asked + 1
    return right / asked


def slow_between(test, one, other, ks):
    a, b = test.z[one].astype(np.float64), test.z[other].astype(np.float64)
    candidates = [j for j in range(len(test)) if not np.isnan(b[j, 0])]
    places = [
        sorted(candidates, key=lambda j: -float(a[i] @ b[j])).index(i) + 1 for i in candidates if not np.isnan(a[i, 0])
    ]
    out = {f"{one}>{other} R@{k}": np.mean([place <= k for place in places]) for k in ks}
    return out | {f"{one}>{other} MRR": np.mean([1 / place for place in places])}


def slow_within(test):
    z = test.whole().astype(np.float64)
    rows = [i for i in range(len(test)) if test.labels[i] != "" and z[i].any()]
    whole, at_r = [], []
    for i in rows:
        order = sorted((j for j in rows if j != i), key=lambda j: -float(z[i] @ z[j]))
        same = [test.labels[j] == test.labels[i] for j in order]
        if not any(same):
            continue
        R = sum(same)
        precision = [sum(same[: p + 1]) / (p + 1) for p in range(len(same))]
        whole.append(sum(p for p, s in zip(precision, same, strict=True) if s) / R)
        at_r.append(sum(p for p, s in zip(precision[:R], same[:R], strict=True) if s) / R)
    return {"mAP": np.mean(whole), "MAP@R": np.mean(at_r)}


@pytest.mark.parametrize("temperature", [0.07, 0.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_the_slow_vote(k, temperature):
    train, test = blobs(90, noise=1.5), blobs(60, noise=1.5, seed=1, prefix="t")
    train.labels[::9], test.labels[::8] = "", ""
    found = KNN(k=k, temperature=temperature)(train, test)
    assert values(found) == {"kNN accuracy": pytest.approx(slow_knn(train, test, k, temperature))}


def test_retrieval_between_fields_is_the_slow_sort_over_rows_that_have_the_other():
    test = several(70)
    found = values(Retrieval(ks=(1, 5, 10))(test, replace(test, labels=None)))
    want = slow_between(test, "google", "twitter", (1, 5, 10)) | slow_between(test, "twitter", "google", (1, 5, 10))
    assert found == pytest.approx(want)


def test_retrieval_by_label_is_the_slow_precision():
    test = several(80)
    found = values(Retrieval()(test, test))
    want = slow_within(test)
    assert {name: found[name] for name in want} == pytest.approx(want)


def test_equal_similarities_count_as_random_orders_do_on_average():
    rng = np.random.default_rng(0)
    z = np.repeat(rng.normal(size=(5, 4)), [1, 2, 3, 4, 5], axis=0)  # copies tie exactly
    test = bank({"a": z, "b": z}, shared=True)
    found = values(Retrieval(ks=(1, 2))(test, test))
    sizes = np.repeat([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert found["a>b R@1"] == pytest.approx(np.mean(1 / sizes))
    assert found["a>b R@2"] == pytest.approx(np.mean(np.minimum(2 / sizes, 1)))
    assert found["a>b MRR"] == pytest.approx(np.mean([np.mean(1 / np.arange(1, s + 1)) for s in sizes]))


def test_a_collapsed_encoder_scores_chance_even_where_rows_are_sorted_by_class():
    rng = np.random.default_rng(0)
    z = np.ones((300, 16)) + 1e-9 * rng.normal(size=(300, 16))
    y = np.sort(np.arange(300) % 5)
    test = bank({"a": z, "b": z}, y, shared=True)
    for name, evidence in Retrieval()(test, test).items():
        assert evidence.value == pytest.approx(evidence.chance, abs=0.03), name
    shape = values(Geometry()(test, test))
    assert shape["uniformity"] == pytest.approx(0, abs=1e-5)
    assert shape["effective rank"] == pytest.approx(1, abs=1e-2)
    assert shape["spread"] == pytest.approx(0, abs=1e-3)
    assert values(Clustering()(test, test)) == pytest.approx({"NMI": 0, "AMI": 0, "ARI": 0}, abs=0.05)


def test_a_perfect_encoder_scores_one():
    y = np.arange(60) % 3
    train, test = bank(np.eye(3)[y], y), bank(np.eye(3)[y], y, prefix="t")
    found = {}
    for score in (KNN(), Linear(), Retrieval(), Clustering()):
        found |= values(score(train, test))
    assert found == pytest.approx(
        dict.fromkeys(("kNN accuracy", "linear accuracy", "mAP", "MAP@R", "NMI", "AMI", "ARI"), 1)
    )
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 8))
    same = bank({"a": z, "b": z}, shared=True)
    assert set(values(Retrieval()(same, same)).values()) == {1.0}
    assert values(Geometry()(same, same))["a>b alignment"] == pytest.approx(0, abs=1e-9)


def test_noise_scores_chance_within_its_interval():
    rng = np.random.default_rng(3)

    def noise(n, prefix):
        z = {name: rng.normal(size=(n, 16)) for name in ("a", "b")}
        return bank(z, rng.choice(["x", "y", "z"], p=[0.5, 0.3, 0.2], size=n), shared=True, prefix=prefix)

    train, test = noise(400, "r"), noise(400, "t")
    for name, found in find_all(JUDGES, train, test).items():
        evidence, (low, high) = found.evidence, interval(found, level=0.999)
        assert low <= evidence.value <= high, name
        # a guess with the classes' shares is worse than always the largest, so accuracies may only lie below
        if "accuracy" in name:
            assert low <= evidence.chance, name
        elif evidence.chance is not None:
            assert low - 0.01 <= evidence.chance <= high + 0.01, name


def test_chance_of_retrieval_is_the_mean_over_random_orders():
    rng = np.random.default_rng(0)
    y = rng.choice(3, p=[0.6, 0.3, 0.1], size=25)
    found = []
    for _ in range(200):
        test = bank(rng.normal(size=(25, 12)), y)
        found.append(Retrieval()(test, test))
    for name in ("mAP", "MAP@R"):
        assert np.mean([f[name].value for f in found]) == pytest.approx(found[0][name].chance, abs=0.012)


def test_clustering_is_scikit_learns_number_for_its_own_clusters():
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    test = blobs(150, noise=1.2)
    space = spaces(test)[0]
    cluster = KMeans(4, n_init=5, random_state=0).fit_predict(space.z)
    found = values(Clustering()(test, test))
    assert found["NMI"] == pytest.approx(normalized_mutual_info_score(space.labels, cluster))
    assert found["ARI"] == pytest.approx(adjusted_rand_score(space.labels, cluster))
    counts = np.array(
        [[np.sum((space.labels == label) & (cluster == c)) for c in range(4)] for label in set(space.labels)]
    )
    p = counts / counts.sum()
    entropy = lambda q: -sum(x * np.log(x) for x in q if x > 0)  # noqa: E731
    shared = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p.ravel())
    assert found["NMI"] == pytest.approx(2 * shared / (entropy(p.sum(0)) + entropy(p.sum(1))))


@pytest.mark.parametrize(("classes", "clusters"), [(4, 4), (3, 9), (6, 1), (60, 60), (2, 2)])
def test_agreement_is_scikit_learns(classes, clusters):
    from sklearn import metrics

    rng = np.random.default_rng(classes)
    code = np.concatenate([np.arange(classes), rng.integers(classes, size=80)])
    cluster = np.concatenate([np.arange(classes) % clusters, rng.integers(clusters, size=80)])
    for found in (cluster, code):  # and where they agree wholly
        nmi, chance, ami, ari = agreement(code, found)
        assert nmi == pytest.approx(metrics.normalized_mutual_info_score(code, found), abs=1e-9)
        assert ami == pytest.approx(metrics.adjusted_mutual_info_score(code, found), abs=1e-9)
        assert ari == pytest.approx(metrics.adjusted_rand_score(code, found), abs=1e-9)
        shuffled = [agreement(rng.permutation(code), found)[0] for _ in range(100)]
        assert chance == pytest.approx(np.mean(shuffled), abs=0.02)


def test_geometry_is_the_slow_loop():
    test = several(40)
    found = values(Geometry()(test, test))
    a = test.whole()[present(test)].astype(np.float64)
    pairs = [np.exp(-2 * ((x - y) ** 2).sum()) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    assert found["uniformity"] == pytest.approx(np.log(np.mean(pairs)), abs=1e-5)
    s = np.linalg.svd(a, compute_uv=False) / np.linalg.svd(a, compute_uv=False).sum()
    assert found["effective rank"] == pytest.approx(np.exp(-(s * np.log(s)).sum()), abs=1e-5)
    assert found["spread"] == pytest.approx(np.sqrt(1 - (a.mean(0) ** 2).sum()), abs=1e-5)
    both = test.has("google") & test.has("twitter")
    x, y = test.z["google"][both].astype(np.float64), test.z["twitter"][both].astype(np.float64)
    alignment = Geometry()(test, test)["google>twitter alignment"]
    assert alignment.value == pytest.approx(np.mean([((p - q) ** 2).sum() for p, q in zip(x, y, strict=True)]))
    others = [((p - q) ** 2).sum() for i, p in enumerate(x) for j, q in enumerate(y) if i != j]
    assert alignment.chance == pytest.approx(np.mean(others))


def test_effective_rank_knows_how_many_directions_are_used():
    rng = np.random.default_rng(0)
    flat = np.linalg.qr(rng.normal(size=(200, 5)))[0] @ np.linalg.qr(rng.normal(size=(32, 5)))[0].T
    assert effective_rank(flat) == pytest.approx(5, abs=1e-3)
    assert effective_rank(flat.T) == pytest.approx(5, abs=1e-3)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_the_order_of_rows_changes_nothing(seed, shared):
    rng = np.random.default_rng(seed)
    train, test = several(60, shared=shared), several(50, seed=1, prefix="t", shared=shared)
    other_train, other_test = train.take(rng.permutation(60)), test.take(rng.permutation(50))
    for score in JUDGES:
        assert values(score(other_train, other_test)) == pytest.approx(values(score(train, test)), abs=1e-5), score


def test_the_probe_holds_out_rows_of_every_class_that_has_two():
    y = np.array([0, 0, 0, 1, 2, 2, 0, 0, 0])
    assert folds(y).tolist() == [0, 1, 2, -1, 0, 1, 3, 4, 0]


def test_the_probe_never_looks_at_test_labels_and_repeats_itself():
    train, test = blobs(80, noise=1.5), blobs(60, noise=1.5, seed=1, prefix="t")
    right = Linear()(train, test)["linear accuracy"].entries
    again = Linear()(train, test)["linear accuracy"].entries
    np.testing.assert_array_equal(right, again)
    half = replace(test, labels=np.where(np.arange(60) < 30, test.labels, ""))
    kept = np.isin(spaces(test)[0].ids, half.ids[:30])
    np.testing.assert_array_equal(Linear()(train, half)["linear accuracy"].entries, right[kept])


def test_the_probe_picks_a_strong_ridge_where_noise_abounds():
    """20 rows of 2 classes in 200 dimensions: the choice is made on train rows, works, and warns of nothing."""
    train, test = blobs(20, 2, 200, 1.0), blobs(200, 2, 200, 1.0, seed=1, prefix="t")
    assert Linear()(train, test)["linear accuracy"].value > 0.95
    assert KNN()(train, test)["kNN accuracy"].value > 0.95


def test_a_test_label_that_train_lacks_is_a_miss():
    train = bank(np.eye(3)[[0, 0, 1, 1]], ["a", "a", "b", "b"])
    test = bank(np.eye(3)[[0, 1, 2]], ["a", "b", "new"], prefix="t")
    for score in (KNN(), Linear()):
        (evidence,) = score(train, test).values()
        assert evidence.value == pytest.approx(2 / 3)


def test_the_probe_is_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 12)).astype(np.float32), rng.integers(0, 3, 200)
    for strength in (0.01, 0.1, 1.0):
        ours = fit(torch.from_numpy(x), torch.from_numpy(y), 3, strength, 300)
        theirs = LogisticRegression(C=strength, max_iter=500, tol=1e-6).fit(x, y)
        chances = torch.softmax(ours(torch.from_numpy(x)), 1).numpy()
        np.testing.assert_allclose(chances, theirs.predict_proba(x), atol=2e-3)
