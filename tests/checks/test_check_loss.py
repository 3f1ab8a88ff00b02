"""check_loss finds what is wrong with a loss, by the property it breaks, and nothing wrong with one that is right."""

import re
import sys

import pytest

from kontrast.checks.check import check_loss
from kontrast.checks.results import Finding, run_check
from kontrast.core.errors import UserError
from kontrast.core.ranks import RankFailed
from tests.support.command import call

IDEAS = """
import torch
from torch import nn
from torch.nn import functional as F
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive_loss import ContrastiveLoss, log_sum, mean
from kontrast.losses.preference_loss import PreferenceLoss
from kontrast.core.embeddings import LossTerm


def nce(s, attract, among):
    return log_sum(s, among) - mean(s, attract)


class Mine(ContrastiveLoss):
    def __init__(self, *, scale: float = 1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def per_anchor(self, similarity, attract, among):
        P, Q = attract.dense(), among.dense().bool()
        s = similarity * self.scale
        return torch.where(Q, s, -torch.inf).logsumexp(-1) - (P * s).sum(-1) / P.sum(-1).clamp_min(1e-12)


class MixesAnchors(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        each = nce(similarity, attract, among)
        return each + (each - each.mean(-1, keepdim=True)) / 2


class MixesProblems(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among).mean(0, keepdim=True).expand(similarity.shape[:2])


class DependsOnTile(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among) / similarity.shape[1]


class WrongSlope(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among)

    def slope(self, similarity, attract, among, weight):
        each, d, *rest = super().slope(similarity, attract, among, weight)
        return each, d * 1.001, *rest


class FirstCandidatesCountMore(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity - 0.01 * torch.arange(similarity.shape[-1]), attract, among)


class ReadsValues(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return log_sum(similarity, among) - attract.values.mean() * mean(similarity, attract)


class WritesWeights(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        attract.values.clamp_(max=0.4)
        return nce(similarity, attract, among)


class NanAtZeros(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity / similarity.norm(dim=-1, keepdim=True), attract, among)


class OverflowsInExp(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return (among.dense() * (8 * similarity).exp()).sum(-1).log() - 8 * mean(similarity, attract)


class NanWithoutPositives(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        P = attract.dense()
        return log_sum(similarity, among) - (P * similarity).sum(-1) / P.sum(-1)


class Remembers(ContrastiveLoss):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def per_anchor(self, similarity, attract, among):
        self.seen += 1
        return nce(similarity, attract, among) * (1 + 1 / self.seen)


class Random(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity * (1 + 1e-6 * torch.rand((), dtype=torch.float64)), attract, among)


class StopsGradient(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among) * similarity.detach().square().mean(-1)


class UpsideDown(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return -nce(similarity, attract, among)


class WrongShape(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among).mean()


class Crashes(ContrastiveLoss):
    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among) + self.missing


class NotPickled(ContrastiveLoss):
    def __init__(self):
        super().__init__()
        self.shape = lambda x: x

    def per_anchor(self, similarity, attract, among):
        return nce(similarity, attract, among)


class Placed(Mine):
    def __init__(self, scale: float = 1.0):
        super().__init__(scale=scale)


class Statistics(AlignmentLoss):
    def forward(self, one, two):
        x, y = ((r.z.float() - r.z.float().mean(0)) for r in (one, two))
        each = (x - y).square().sum(1)
        return LossTerm(each.sum(), each.new_tensor(len(each)))


class NoGradient(AlignmentLoss):
    def forward(self, one, two):
        each = (one.z - two.z).detach().square().sum(1) + 0 * one.z.sum()
        return LossTerm(each.sum(), each.new_tensor(len(each)))


class AloneOnItsRank(ClusteringLoss):
    temperature = 0.1

    @torch.no_grad()
    def targets(self, scores, ranks):
        return (scores - (scores.logsumexp(0, keepdim=True) if len(scores) else 0)).softmax(-1)


class GradientToTargets(AloneOnItsRank):
    def targets(self, scores, ranks):
        return scores.softmax(-1)


class AgainstTheMean(PreferenceLoss):
    def per_pair(self, chosen, rejected):
        return F.softplus(rejected.score.mean() - chosen.score)


class Loose(nn.Module):
    pass
"""

BROKEN = {
    "MixesAnchors": ("each anchor counts alone", "failed", "against one at a time: the loss of a row differs by"),
    "MixesProblems": ("stacks", "failed", "of 3 problems at once, the loss of a row differs by"),
    "DependsOnTile": ("any tiling", "failed", "3 anchors a tile differs by"),
    "WrongSlope": ("slope is autograd's", "failed", "d loss / d similarity differs by"),
    "FirstCandidatesCountMore": ("any order of rows", "failed", "rows in another order differs by"),
    "ReadsValues": ("weights listed or dense", "failed", "per_anchor of listed weights differs by"),
    "WritesWeights": ("weights listed or dense", "failed", "written to by the loss"),
    "NanAtZeros": ("any size and precision", "failed", "zeros, torch.float16: .* are NaN or infinite"),
    "OverflowsInExp": ("any size and precision", "failed", "vectors of 1e4, torch.float16: .* NaN or infinite"),
    "NanWithoutPositives": ("rows without positives", "failed", "the gradient differs by inf"),
    "Remembers": ("repeatable", "failed", "the second call differs by"),
    "Random": ("repeatable", "failed", "the second call differs by"),
    "StopsGradient": ("slope is the value's", "warning", "right only if it stops a gradient on purpose"),
    "UpsideDown": ("better costs less", "warning", "views that agree cost"),
    "WrongShape": ("each anchor counts alone", "failed", r"a shape \(\) for one anchor; expected \(1, 1\)"),
    "Crashes": ("any tiling", "failed", "raised AttributeError: .*missing"),
    "NotPickled": ("settings", "failed", "cannot be pickled"),
    "Placed": ("settings", "warning", "scale may be given by position"),
    "Statistics": ("each pair counts alone", "failed", "against pair by pair, differs by"),
    "NoGradient": ("slope is the value's", "failed", "no gradient reaches either side"),
    "GradientToTargets": ("targets are distributions", "failed", "carry a gradient"),
    "AgainstTheMean": ("each pair counts alone", "failed", "the sum of a batch, against pair by pair, differs by"),
}


@pytest.fixture
def ideas(tmp_path, monkeypatch):
    """The working folder holds my_lab/ideas.py, which is on no path."""
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "ideas.py").write_text(IDEAS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield
    for module in ("my_lab", "my_lab.ideas"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_loss_is_caught_by_the_property_it_breaks(name, ideas):
    told = []
    findings = check_loss(f"my_lab.ideas:{name}", worlds=(), progress=told.append)
    assert told == findings
    title, verdict, words = BROKEN[name]
    (found,) = [finding for finding in findings if finding.name == title]
    assert found.verdict == verdict, found
    assert re.search(words, found.detail), found.detail


@pytest.mark.dist
def test_a_right_loss_of_ones_own_passes_on_two_processes_too(ideas):
    findings = check_loss("my_lab.ideas:Mine", settings={"scale": 0.5}, worlds=(2,))
    assert [f for f in findings if f.verdict != "ok"] == []
    assert [f.name for f in findings][:2] == ["contract", "settings"]
    assert findings[0].detail == "ContrastiveLoss, kontrast.losses.contrastive_loss"
    assert findings[1].detail == "scale"
    assert findings[-1].name == "2 processes = 1"


@pytest.mark.dist
def test_what_is_right_on_one_process_alone_is_caught_by_two(ideas):
    findings = check_loss("my_lab.ideas:AloneOnItsRank", worlds=(2,))
    assert [f.name for f in findings if f.verdict != "ok"] == ["2 processes = 1"]
    assert "on rank 0 of 2: the value differs by" in findings[-1].detail


@pytest.mark.quick
def test_a_loss_of_this_project_is_named_by_its_file_and_what_is_none_is_refused_in_words(ideas):
    assert all(f.verdict == "ok" for f in check_loss("triplet", settings={"triplets": "hard"}, worlds=()))
    for name, settings, words in (
        ("infonc", {}, "no loss 'infonc'; did you mean 'infonce'"),
        ("my_lab.ideas:Loose", {}, "'my_lab.ideas:Loose' is no class that derives from a contract of kontrast"),
        ("my_lab.ideas:Missing", {}, "cannot load loss 'my_lab.ideas:Missing'"),
        ("my_lab.ideas:Mine", {"scal": 1.0}, "has no setting 'scal'; did you mean 'scale'"),
    ):
        with pytest.raises(UserError, match=words):
            check_loss(name, settings=settings, worlds=())


@pytest.mark.quick
def test_a_stranger_s_error_is_a_verdict_with_its_place():
    def raises(make):
        raise RankFailed("rank 1 of 2 failed")

    found = run_check("anything", raises, lambda: None)
    assert found == Finding("anything", "failed", found.detail)
    assert "raised RankFailed: rank 1 of 2 failed" in found.detail
    assert __file__ in found.detail


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("our_lab.ideas:Mixing", 1, "failed   each anchor counts alone"),
        ("our_lab.ideas:Missing", 2, "cannot load loss"),
        ("infonze", 2, "did you mean 'infonce'"),
    ],
)
@pytest.mark.dist
def test_the_command_tells_in_words_and_by_its_exit_code(name, code, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "our_lab").mkdir()
    (tmp_path / "our_lab" / "ideas.py").write_text(
        "from kontrast.losses.contrastive.infonce import InfoNCE\n"
        "from kontrast.losses.contrastive_loss import ContrastiveLoss\n\n\n"
        "class Mixing(ContrastiveLoss):\n"
        "    def per_anchor(self, similarity, attract, among):\n"
        "        each = InfoNCE().per_anchor(similarity, attract, among)\n"
        "        return each / each.detach().mean()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert call("check-loss", name, "--ranks", 2) == code
    said = capsys.readouterr()
    assert words in said.out + said.err
