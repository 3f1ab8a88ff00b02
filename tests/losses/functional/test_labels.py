"""Losses take labels in any form, and rows of unknown label are positives of none."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.losses import functional
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.shared_labels import SharedLabels
from kontrast.losses.relations.target_similarity import TargetSimilarity
from kontrast.losses.relations.within_group import WithinGroup
from tests.support.loss_arguments import LOSSES, C, D, N, Y, call, good, randn, role

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", [n for n in LOSSES if role(n, "labels") == "labels" and "labels" in good(n)])
def test_labels_come_as_tensors_arrays_lists_bools_and_names(name):
    two = (Y > 0).long()
    wanted = call(name, labels=two)
    forms = [two.int(), two.to(torch.uint8), two.bool(), two.double(), two.numpy(), two.numpy().astype(">i2"),
             two.numpy()[::-1].copy()[::-1], two.bool().numpy(), two.tolist(), tuple(two.tolist()),
             two.bool().tolist(), two.double().tolist(), np.array(two.tolist(), dtype=object), list(two)]  # fmt: skip
    for form in forms:
        torch.testing.assert_close(call(name, labels=form), wanted)
    if not {"proxies", "points", "centres"} & {*good(name)}:
        for names in (["no", "yes"], ["", "\udcff"], ["é", "e"]):
            for form in ([names[y] for y in two], np.array([names[y] for y in two], dtype=object)):
                torch.testing.assert_close(call(name, labels=form), wanted)


def test_a_name_has_one_number_in_every_process():
    z = torch.zeros(2, 1)
    assert input_checks.labels(["cat", b"cat"], z).tolist() == [1714832134300930969, 1714832134300930969]
    assert input_checks.labels([None, math.nan], z).tolist() == [-1, -1]
    assert input_checks.labels(np.array(["-1", "b"]), z)[0] != -1


ALIKE = ("supcon", "supcon_inside", "soft_nearest_neighbour", "multi_positive", "triplet", "circle", "multi_similarity")


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("unknown", [-1, None, math.nan])
def test_rows_of_unknown_label_are_candidates_and_nobodys_positive(name, unknown):
    labels = [0, 0, unknown, 1, unknown, 1, 0, 1]
    apart = [0, 0, 2, 1, 3, 1, 0, 1]  # each alone in a class of its own
    torch.testing.assert_close(call(name, labels=labels), call(name, labels=apart))
    with pytest.raises(UserError, match=r"positive|two rows have"):
        call(name, labels=[unknown] * N)


@pytest.mark.parametrize("name", ["arcface", "cosface", "proxy_anchor"])
def test_rows_of_unknown_label_belong_to_no_centre_and_are_pushed_from_none(name):
    known = Y != 1
    z, proxies = good(name)["z"], good(name)["proxies"]
    found = call(name, z=z, labels=torch.where(known, Y, -1), proxies=proxies)
    torch.testing.assert_close(found, call(name, z=z[known], labels=Y[known], proxies=proxies))


@pytest.mark.parametrize("name", ["kcl", "fscl"])
def test_two_rows_of_unknown_label_are_as_two_of_classes_of_their_own(name):
    z, alone = good(name)["z"].detach(), torch.arange(N) // 2 == 1
    for rows in (z, torch.where(alone[:, None], z[2], z)):  # were they positives, the second would be as near as can be
        found = call(name, z=rows, labels=torch.where(alone, -1, Y))
        torch.testing.assert_close(found, call(name, z=rows, labels=torch.where(alone, torch.arange(N) + 50, Y)))


def test_rows_of_unknown_label_count_in_denominators_alone_where_classes_are_indices():
    z, centres, alone = randn(N, D), randn(C, D, seed=3), torch.arange(N) // 2 == 1
    labels = torch.where(alone, -1, Y)
    e = (F.cosine_similarity(z[:, None], z, dim=-1) / 0.1).exp().fill_diagonal_(0)
    anchors = (~alone).nonzero().flatten().tolist()
    positives = {i: [j for j in range(N) if j != i and labels[j] == labels[i]] for i in anchors}
    by_class = [
        torch.stack([e[i][labels == c].sum() / ((labels == c).sum() - int(labels[i] == c)) for c in (-1, 0, 1, 2)
                     if (labels == c).sum() > int(labels[i] == c)]).sum().log()
        - e[i][positives[i]].log().mean()
        for i in anchors if positives[i]
    ]  # fmt: skip
    torch.testing.assert_close(functional.bcl(z, labels), torch.stack(by_class).mean())
    logits = F.normalize(z, dim=1) @ centres.T
    lost = [
        (e[i].sum() + logits[i].exp().sum()).log()
        - (0.05 * e[i][positives[i]].log().sum() + logits[i, labels[i]]) / (0.05 * len(positives[i]) + 1)
        for i in anchors
    ]
    found = functional.paco(z, labels, centres, temperature=0.1)
    torch.testing.assert_close(found, torch.stack(lost).mean())


def test_relations_take_minus_one_for_unknown_in_tiles_and_in_lists():
    z, label = randn(6, D), torch.tensor([-1, -1, 0, 0, -1, 0])
    for key in (label, label.double(), label.to(torch.int8)):
        ids = torch.arange(6)
        keys = {"id": ids, "view": ids * 0, "label": key}
        for relation in (SameKey("label"), WithinGroup("label")):
            positives, candidates = relation.weights({"label": key[:, None]}, {"label": key[None]})
            assert positives.tolist() == ((label[:, None] == label) & (label[:, None] >= 0)).tolist()
            assert candidates is None or torch.equal(candidates, positives)
        rows = Embeddings(z, keys)
        found = contrast(rows, rows, SameKey("label"), loss=InfoNCE(), kernel=Cosine(temperature=0.5), tile=6).value()
        known = label >= 0
        zn = F.normalize(z, dim=1)
        s = (zn @ zn.T / 0.5).fill_diagonal_(-math.inf)
        pull = torch.stack([s[i][known & (ids != i)].mean() for i in ids[known]])
        torch.testing.assert_close(found, (s[known].logsumexp(1) - pull).mean())


@pytest.mark.parametrize(
    "made",
    [
        lambda: TargetSimilarity("y", shape="invers"),
        lambda: SharedLabels("y", how="jacard"),
        lambda: KeyWeight("y", what="amongst"),
        lambda: KeyWeight("y", of="row"),
    ],
)
def test_misspelt_names_of_relations_are_refused(made):
    with pytest.raises(UserError, match="expected one of"):
        made()
