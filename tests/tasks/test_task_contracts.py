"""Every task meets the checks of `kontrast check` the moment its file exists."""

import pytest

from kontrast.checks.processes import same
from kontrast.checks.task import check_task, learner_of, traced
from kontrast.core import factory, registry
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks, on_ranks
from tests.support.command import call

TASKS = list(registry.kinds("tasks"))


def refusal(name):
    """Why a task takes neither pictures nor texts; "" if it does. Others are proven where they are tested."""
    try:
        learner_of(name, {})
    except UserError as refused:
        return str(refused)
    return ""


@pytest.mark.quick
@pytest.mark.parametrize("name", TASKS)
def test_a_task_holds_what_must_hold_of_any(name):
    if why := refusal(name):
        assert "field" in why
        pytest.skip(why)
    findings = check_task(name, worlds=())
    assert [(f.name, f.detail) for f in findings if f.verdict != "ok"] == []


def all_traced(ranks, names):
    return {name: traced(ranks, name, {}) for name in names}


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_compute_what_one_does_for_every_task():
    names = [name for name in TASKS if not refusal(name)]
    assert len(names) > 10
    one, many = all_traced(Ranks(alone=True), names), on_ranks(all_traced, 2, names)
    for name in names:
        same(one[name], [traces[name] for traces in many], relative=1e-7, absolute=1e-9)


@pytest.mark.quick
def test_settings_of_every_run_are_no_settings_of_a_task():
    for name in TASKS:
        made = registry.load("tasks", name)
        assert not {key for key, _, _ in factory.settings_of(made)} & {"fields", "rows", "weight", "sampler", "mixing"}


OWN = '''
import kontrast as kt


class Forgets(kt.Task):
    """Embeds without the encoder, and takes a reserved setting."""

    def __init__(self, encoders: kt.EncoderInfo, *, weight: float = 1.0) -> None:
        super().__init__()
        (self.field,) = encoders.fields
        self.head = kt.layers.Head(in_width=192, width=4, layers=1)

    def views(self):
        return {"a": kt.ViewSpec(self.field), "b": kt.ViewSpec(self.field)}

    def forward(self, encoders, batch):
        return {name: kt.Output(self.head(view.data.flatten(1)), name) for name, view in batch.views.items()}

    def compute_loss(self, out, ranks):
        return {"contrast": kt.between_views(out.values(), ranks)}
'''


def test_a_task_that_forgets_the_encoder_fails_by_name(tmp_path, monkeypatch, capsys):
    (tmp_path / "forgetting_lab.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {f.name: f for f in check_task("forgetting_lab:Forgets", worlds=())}
    assert "no gradient reaches the encoder" in found["a step"].detail
    assert found["settings"].verdict == "failed"
    assert found["copies and weights"].verdict == "ok"
    assert call("check", "forgetting_lab:Forgets", "--ranks", 2) == 1
    assert "failed   a step: no gradient reaches the encoder" in capsys.readouterr().out
