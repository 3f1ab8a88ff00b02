"""The words: draws that depend on nothing but their names, rooms found by walking, experiments that survive JSON, banks
that survive disk."""

import inspect
import resource
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch

import kontrast as kt
from kontrast.core import factory, random_streams, registry, renamed
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, did_you_mean, needs
from kontrast.core.experiment import Choice, Experiment, Plan, Source
from kontrast.losses.relation_json import relation_from_json, relation_to_json
from kontrast.tasks.task import Task

pytestmark = pytest.mark.quick


def test_a_row_draws_the_same_numbers_alone_and_in_any_batch():
    ids = torch.randint(0, 2**62, (512,))
    u = random_streams.uniform(random_streams.key(3, 5, ids, 1), 16)
    order = torch.randperm(512)
    assert torch.equal(random_streams.uniform(random_streams.key(3, 5, ids[order], 1), 16), u[order])
    assert torch.equal(random_streams.uniform(random_streams.key(3, 5, ids[7:8], 1), 16)[0], u[7])


def test_draws_are_uniform_and_independent_over_views_epochs_seeds_and_forks():
    ids = torch.arange(4096)
    streams = [
        random_streams.key(0, 3, ids, 1),
        random_streams.key(0, 3, ids, 2),
        random_streams.key(0, 4, ids, 1),
        random_streams.key(1, 3, ids, 1),
    ]
    streams.append(random_streams.fork(streams[0], 0))
    u = torch.stack([random_streams.uniform(s, 1)[:, 0] for s in streams])
    assert abs(u.mean() - 0.5) < 0.01
    assert abs(u.var() - 1 / 12) < 0.005
    assert (torch.corrcoef(u) - torch.eye(len(u))).abs().max() < 0.06
    n = random_streams.normal(streams[0], 4)
    assert abs(n.mean()) < 0.03
    assert abs(n.std() - 1) < 0.03


def test_numbers_are_mixed_as_tensors_are():
    some = [0, 1, -1, 2**63 - 1, -(2**63), 123456789, *torch.randint(-(2**62), 2**62, (100,)).tolist()]
    for seed in some:
        by_tensors = random_streams.mix(torch.tensor(seed) * random_streams.GAMMA)
        for part in (torch.tensor(-4), torch.tensor(2), torch.arange(9)):
            by_tensors = random_streams.mix(by_tensors + (part + 1) * random_streams.GAMMA)
        assert torch.equal(random_streams.key(seed, -4, torch.arange(9), 2), by_tensors)


def test_an_order_is_a_permutation_and_another_one_each_epoch():
    one, two = random_streams.permutation(0, 0, 100), random_streams.permutation(0, 1, 100)
    assert sorted(one.tolist()) == list(range(100))
    assert not torch.equal(one, two)


def test_every_kind_in_every_room_loads_and_says_what_it_is():
    rooms = registry.rooms()
    assert {
        "losses",
        "kernels",
        "relations",
        "tasks",
        "encoders",
        "modalities",
        "sources",
        "evaluators",
        "recipes",
    } <= set(rooms)
    for room, kinds in rooms.items():
        for name, kind in kinds.items():
            made = registry.load(room, name)
            assert kind.summary.endswith((".", ":")) or len(kind.summary) > 20, kind
            assert len(made.__doc__.split()) > 3, kind
            own = vars(made).get("__init__")
            kinds_of = [p.kind for p in inspect.signature(own).parameters.values()] if own else []
            assert inspect.Parameter.VAR_KEYWORD not in kinds_of, f"{kind.module} takes **kwargs"


def test_a_strangers_class_is_named_by_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "lab_of_this_test.py").write_text(
        "from kontrast.losses.contrastive.infonce import InfoNCE\nclass Mine(InfoNCE):\n    'Mine.'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert registry.load("losses", "lab_of_this_test:Mine").__name__ == "Mine"
    with pytest.raises(UserError, match="cannot load loss 'lab_of_this_test:Other'"):
        registry.load("losses", "lab_of_this_test:Other")


@pytest.mark.parametrize(
    ("room", "name", "settings", "words"),
    [
        ("tasks", "simlcr", {}, "no task 'simlcr'; did you mean 'simclr'?"),
        (
            "kernels",
            "cosine",
            {"temprature": 1},
            "kernel 'cosine' has no setting 'temprature'; did you mean 'temperature'?",
        ),
        ("kernels", "cosine", {"temperature": "warm"}, "temperature='warm' is not float"),
        ("kernels", "cosine", {"learnable": 1}, "learnable=1 is not bool"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_name(room, name, settings, words):
    with pytest.raises(UserError) as error:
        factory.build(room, name, settings)
    assert words in str(error.value)


def test_an_experiment_survives_json_and_refuses_typos():
    one = Experiment(
        source=Source("a.csv", {"photo": "image"}),
        views={"photo": Choice("image", {"size": 32})},
        encoders={"image": Choice("resnet", {"width": 16})},
        plan=Plan(minutes=2.5, optimiser=Choice("sgd", {"momentum": 0.5})),
        scores=(Choice("knn", {"k": 5}),),
    )
    assert Experiment.from_json(one.to_json()) == one
    with pytest.raises(UserError, match="no setting 'bacth'; did you mean 'batch'"):
        Experiment.from_json('{"plan": {"bacth": 4}}')
    with pytest.raises(UserError, match="not JSON"):
        Experiment.from_json("{")
    assert one.difference(Experiment.from_json(one.to_json().replace("2.5", "3.5"))) == ["plan.minutes: 2.5 -> 3.5"]


def test_a_bank_survives_disk_with_missing_rows_labels_and_metadata(tmp_path):
    z = {"a": np.random.rand(4, 3).astype(np.float32), "b c": np.random.rand(4, 2).astype(np.float32)}
    z["b c"][2] = np.nan
    bank = EmbeddingTable(
        z, np.array(["x", "y", "z", "ü"]), np.array(["1", "", "2", "1"]), pa.table({"year": [1, 2, None, 4]}), True
    )
    bank.save(tmp_path / "deep" / "bank.parquet")
    again = EmbeddingTable.load(tmp_path / "deep" / "bank.parquet")
    for name in z:
        np.testing.assert_array_equal(again.z[name], z[name])
    assert again.ids.tolist() == bank.ids.tolist()
    assert again.labels is not None
    assert again.labels.tolist() == ["1", "", "2", "1"]
    assert again.metadata.equals(bank.metadata)
    assert again.shared
    assert again.has("b c").tolist() == [True, True, False, True]
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(UserError, match="no embeddings at"):
        EmbeddingTable.load(tmp_path / "nothing.parquet")


def test_messages_name_what_is_near_and_what_to_install():
    assert did_you_mean("imgae", ["image", "text"]) == "; did you mean 'image'?"
    with pytest.raises(UserError, match=r"pip install 'kontrast\[search\]'"):
        needs("no_such_module_here", "search")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "word"), [(["--help"], "compare"), (["train", "--help"], "--learning-rate"), (["list"], "vicreg")]
)
def test_help_and_list_load_nothing_heavy(arguments, word):
    code = (
        "import sys\nfrom kontrast.cli import main\nsys.argv = ['kontrast', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print({'torch', 'numpy', 'datasets', 'transformers', 'pyarrow', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert word in done.stdout
    assert done.stderr.strip().endswith("set()")


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb", ["", "train", "demo", "embed", "evaluate", "index", "search", "report", "list", "show"]
)
def test_every_help_answers_in_half_a_second(verb):
    spent = []
    for _ in range(3):  # the least of three, in processor time: other processes of the machine only add
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "kontrast", *verb.split(), "--help"]
        assert subprocess.run(command, capture_output=True, text=True).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5


def test_a_kind_belongs_to_the_room_of_the_contract_it_derives_from(tmp_path, monkeypatch):
    """A kernel in a folder named losses is a kernel; folders may nest; a base two files away is found."""
    house = tmp_path / "kontrast"
    (house / "losses" / "deep" / "deeper").mkdir(parents=True)
    (house / "core").mkdir()
    (house / "core" / "contract.py").write_text('class Kernel(ABC):\n    """Any."""\n\n    ROOM = "kernels"\n')
    middle = "from kontrast.core.contract import Kernel\n\n\nclass Middle(Kernel, ABC):\n    pass\n"
    (house / "losses" / "middle.py").write_text(middle)
    near = '"""Says so."""\nfrom kontrast.losses.middle import Middle\n\n\nclass LogRatio(Middle):\n    pass\n'
    (house / "losses" / "deep" / "deeper" / "log_ratio.py").write_text(near)
    (house / "losses" / "helper.py").write_text("class Helper:\n    pass\n")
    monkeypatch.setattr(registry, "PACKAGE", house)
    kind = registry.Kind("kernels", "log_ratio", "kontrast.losses.deep.deeper.log_ratio", "LogRatio", "Says so.")
    assert registry.rooms() == {"kernels": {"log_ratio": kind}}
    assert registry.locate("kernels", "Log-Ratio") == kind
    with pytest.raises(UserError, match=r"no loss 'log_ratio'.* There is one among the kernels"):
        registry.locate("losses", "log_ratio")


@pytest.mark.parametrize("room", renamed.KINDS)
def test_names_of_earlier_versions_find_what_they_meant_with_a_notice(room):
    known = registry.kinds(room)
    for old, new in renamed.KINDS[room].items():
        with pytest.warns(renamed.OldName, match=f"{old} .* is called {new} now"):
            assert registry.locate(room, old) == known[new]


def test_earlier_names_of_the_algebra_of_relations_are_read_with_a_notice():
    for old, new in renamed.ALGEBRA.items():
        with pytest.warns(renamed.OldName, match=f"{old} .* is called {new} now"):
            found = relation_from_json({"relation": old, "one": {"name": "same_key", "key": "id"}})
        assert relation_to_json(found)["relation"] == new


def test_old_names_of_the_package_are_told():
    with pytest.warns(renamed.OldName, match="kt.Rows is called kt.Embeddings now"):
        assert kt.Rows is kt.Embeddings


def test_commands_options_and_arguments_of_earlier_versions_work_with_a_notice():
    with pytest.warns(renamed.OldName) as told:
        found = renamed.arguments(["score", "run", "data", "--outside", "--log=wandb", "--", "--outside"])
    assert found == ["evaluate", "run", "data", "--allow-outside", "--tracker=wandb", "--", "--outside"]
    assert [str(one.message).split(";")[0] for one in told] == [
        "score is called evaluate now",
        "--outside is called --allow-outside now",
        "--log is called --tracker now",
    ]
    with pytest.warns(renamed.OldName, match="listener is called logger now"), pytest.raises(UserError):
        kt.train("no such place", listener=None)


def test_files_of_a_run_folder_keep_the_names_that_they_have(tmp_path):
    assert renamed.file(tmp_path, "metrics.jsonl").name == "metrics.jsonl"
    (tmp_path / "moments.jsonl").touch()
    assert renamed.file(tmp_path, "metrics.jsonl").name == "moments.jsonl"
    (tmp_path / "metrics.jsonl").touch()
    assert renamed.file(tmp_path, "metrics.jsonl").name == "metrics.jsonl"


def test_kinds_are_shown_by_an_earlier_name():
    with pytest.warns(renamed.OldName, match="twins .* exclude_duplicates"):
        assert renamed.kinds("twins") == [("relations", "exclude_duplicates")]


@pytest.mark.parametrize(("old", "new"), [("attract", "positives"), ("among", "candidates")])
def test_what_a_key_weighs_is_read_by_an_earlier_word(old, new):
    stored = {"relation": "key_weight", "key": "prior", "what": old, "of": "candidate"}
    with pytest.warns(renamed.OldName, match=f"what='{old}' .* is called '{new}' now"):
        assert relation_to_json(relation_from_json(stored)) == {**stored, "what": new}


def test_a_task_is_asked_for_its_fields_by_an_earlier_name():
    with pytest.warns(renamed.OldName, match=r"Pairs\.fewest is called min_fields now"):
        pairs = type("Pairs", (Task,), {"fewest": 2})
    assert (pairs.min_fields, pairs.max_fields) == (2, None)
