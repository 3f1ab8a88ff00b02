"""The image encoders and the head."""

import pytest
import torch
from safetensors.torch import save_file

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders.resnet import ResNet
from kontrast.encoders.timm import Timm
from kontrast.layers.head import Head

pytestmark = pytest.mark.quick

SMALL = "test_efficientnet"


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_resnet_gives_its_width_for_every_small_size(channels, size):
    net = ResNet(channels=channels, size=size)
    z = net(torch.randn(2, channels, size, size)).pooled
    assert z.shape == (2, net.width)
    z.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_resnet_takes_sizes_that_are_no_power_of_two():
    assert ResNet(channels=3, size=40)(torch.randn(2, 3, 40, 40)).pooled.shape[0] == 2


@pytest.mark.parametrize("make", [lambda: ResNet(channels=3), lambda: Timm(model=SMALL, size=32)])
def test_the_gradient_of_dense_features_of_two_rows_is_the_sum_of_that_of_each(make):
    torch.manual_seed(0)
    net, x = make().double().eval(), torch.randn(2, 3, 32, 32).double()
    weight = torch.randn_like(net(x).dense)

    def slopes(*rows):
        loss = sum((net(x[at]).dense * weight[at]).sum() for at in rows)
        return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)

    torch.testing.assert_close(slopes(slice(0, 1), slice(1, 2)), slopes(slice(0, 2)))


@pytest.mark.parametrize("make", [lambda: ResNet(channels=3), lambda: Timm(model=SMALL, size=32)])
def test_in_eval_mode_a_row_does_not_depend_on_its_batch(make):
    net = make().eval()
    x = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(x).pooled[1:2], net(x[1:2]).pooled, atol=1e-5, rtol=1e-5)


def test_resnet_is_built_by_name_from_the_facts_of_the_images():
    net = factory.build("encoders", "resnet", {"base": 8}, given={"channels": 1, "size": 32})
    assert net(torch.zeros(2, 1, 32, 32)).pooled.shape == (2, net.width)


def test_resnet_learns_to_tell_two_textures():
    x = torch.randn(64, 1, 16, 16)
    y = torch.arange(64) % 2
    x[y == 1] = torch.nn.functional.avg_pool2d(x[y == 1], 3, 1, 1) * 3
    net = ResNet(channels=1, size=16, base=8)
    out = torch.nn.Linear(net.width, 2)
    adam = torch.optim.AdamW([*net.parameters(), *out.parameters()], 1e-2)
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(out(net(x).pooled), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_head_has_as_many_linear_layers_as_asked(norm, layers):
    head = Head(in_width=6, hidden=10, width=4, layers=layers, norm=norm)
    assert head(torch.randn(5, 6)).shape == (5, 4)
    assert sum(isinstance(m, torch.nn.Linear) for m in head.modules()) == layers
    assert head.width == 4


def test_head_without_batch_norm_does_not_mix_rows_in_training():
    x = torch.randn(5, 6)
    head = Head(in_width=6, norm="layer")
    torch.testing.assert_close(head(x)[:1], head(x[:1]))


def test_head_refuses_no_layers():
    with pytest.raises(UserError, match="layers=0"):
        Head(in_width=6, layers=0)


@pytest.mark.parametrize(("model", "size"), [(SMALL, 48), ("test_vit", 32), ("test_resnet", 64)])
def test_timm_width_is_what_comes_out(model, size):
    net = Timm(model=model, channels=1, size=size)
    assert net.training
    assert net(torch.zeros(2, 1, size, size)).pooled.shape == (2, net.width)


def test_timm_wants_the_size_of_the_model_and_its_colours_only_with_weights():
    assert Timm.wants({"model": "test_vit"}) == {"size": 160}
    asked = Timm.wants({"model": "test_vit", "pretrained": True})
    assert asked == {"size": 160, "channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model": "resnett10t"}, "did you mean .*resnet10t"),
        ({"model": "qqqqqqqq"}, "lists all"),
        ({"model": "resnet10t.nothere"}, "there is: .*c3_in1k"),
        ({}, "name the model"),
    ],
)
def test_timm_says_what_is_wrong_with_a_name(settings, says):
    with pytest.raises(UserError, match=says):
        Timm.wants(settings)


def test_timm_refuses_pickled_weights_and_files_that_are_not_there(tmp_path):
    for name in ("w.bin", "w.pt", "w.pth"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UserError, match=r"expected a \.safetensors"):
            Timm(model=SMALL, weights=str(tmp_path / name))
    with pytest.raises(UserError, match="no such file"):
        Timm(model=SMALL, weights=str(tmp_path / "w.safetensors"))


def test_timm_loads_local_weights_and_freezes_them(tmp_path):
    first = Timm(model=SMALL, size=32)
    save_file(first.net.state_dict(), tmp_path / "w.safetensors")
    second = Timm(model=SMALL, size=32, weights=str(tmp_path / "w.safetensors"), freeze=True)
    assert not any(p.requires_grad for p in second.parameters())
    assert not second.train().training
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(second(x).pooled, first.eval()(x).pooled)


def test_timm_says_when_the_file_holds_another_model(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="a file of its own weights"):
        Timm(model=SMALL, size=32, weights=str(tmp_path / "w.safetensors"))


def test_timm_without_a_network_says_what_to_do(monkeypatch):
    import huggingface_hub

    def offline(*_):
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(UserError, match=r"set weights='path/to/model\.safetensors'"):
        Timm(model=SMALL, pretrained=True)


def test_resnet_knows_where_things_are():
    """The same square elsewhere gives other features: the mean over all places would give nearly the same."""
    x = torch.zeros(1, 1, 32, 32)
    x[..., 4:12, 4:12] = torch.randn(8, 8)
    net = ResNet(channels=1).eval()
    with torch.no_grad():
        here, there = net(x).pooled - net(x * 0).pooled, net(x.roll((16, 16), (2, 3))).pooled - net(x * 0).pooled
    assert torch.nn.functional.cosine_similarity(here, there) < 0.5
    mean_here, mean_there = (z.view(1, -1, 16).mean(2) for z in (here, there))
    assert torch.nn.functional.cosine_similarity(mean_here, mean_there) > 0.9


def test_resnet_refuses_nothing_of_something():
    with pytest.raises(UserError, match="blocks=0"):
        ResNet(channels=1, blocks=0)
