"""A trained encoder in loops that are not ours: plain PyTorch, and a LightningModule."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from kontrast import api
from kontrast.core.errors import UserError
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    x, kinds = waves(120)
    return [(row.astype(np.float32), int(kind)) for row, kind in zip(x, kinds, strict=True)]


@pytest.fixture(scope="module")
def run(rows, tmp_path_factory):
    return api.train(
        {"x": np.stack([x for x, _ in rows]), "kind": np.array([str(k) for _, k in rows])},
        label="kind",
        encoders={"series": {"name": "tcn", "hidden": 16, "out": 32, "depth": 2}},
        steps=10,
        settings=FAST,
        out=tmp_path_factory.mktemp("runs") / "waves",
    )


def batches(encoder, rows):
    def collate(part):
        return encoder.prepare([x for x, _ in part]), torch.tensor([kind for _, kind in part])

    return DataLoader(rows, batch_size=40, shuffle=True, collate_fn=collate)


def test_the_module_embeds_as_the_run_does(run, rows):
    encoder = run.module()
    x = np.stack([x for x, _ in rows[:9]])
    with torch.no_grad():
        z = F.normalize(encoder(encoder.prepare(list(x))), dim=1).numpy()
    np.testing.assert_allclose(z, run.embed({"x": x}).z["x"], atol=1e-6)
    assert z.shape == (9, encoder.width)


def test_in_a_plain_loop_it_learns_the_labels(run, rows):
    torch.manual_seed(0)
    encoder = run.module("x")
    model = nn.Sequential(encoder, nn.Linear(encoder.width, 3))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = {name: p.clone() for name, p in encoder.learner.encoders.named_parameters()}
    losses = []
    for _ in range(6):
        for x, kinds in batches(encoder, rows):
            loss = F.cross_entropy(model.train()(x), kinds)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert np.mean(losses[-3:]) < losses[0] / 2
    assert any(not torch.equal(p, before[name]) for name, p in encoder.learner.encoders.named_parameters())
    again = nn.Sequential(run.module("x"), nn.Linear(encoder.width, 3))
    again.load_state_dict(model.state_dict())  # saved and loaded as any module
    x = encoder.prepare([rows[0][0]])
    assert torch.equal(again.eval()(x), model.eval()(x))


def test_its_views_serve_a_contrast_of_ones_own(run, rows):
    from kontrast.losses.functional import ntxent

    encoder = run.module("x")
    cells = [x for x, _ in rows[:30]]
    torch.manual_seed(0)
    one, two = encoder.views(cells)
    torch.manual_seed(0)
    torch.testing.assert_close(encoder.views(cells), [one, two], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(one.nan_to_num(), two.nan_to_num())
    loss = ntxent(encoder(one), encoder(two))
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())


def test_a_field_that_is_not_there_is_refused_by_name(run):
    with pytest.raises(UserError, match="no field 'y'"):
        run.module("y")


@pytest.mark.filterwarnings("ignore")
def test_in_a_lightning_module_it_learns_the_labels(run, rows, tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder = run.module("x")
            self.head = nn.Linear(self.encoder.width, 3)
            self.losses = []

        def training_step(self, batch, _):
            x, kinds = batch
            loss = F.cross_entropy(self.head(self.encoder(x)), kinds)
            self.losses.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=3e-3)

    torch.manual_seed(0)
    model = Classifier()
    trainer = lightning.Trainer(
        max_epochs=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, batches(model.encoder, rows))
    assert np.mean(model.losses[-3:]) < model.losses[0] / 2
