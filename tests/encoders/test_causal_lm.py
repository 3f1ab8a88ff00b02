"""Causal language models: log-probabilities against trl's own and a slow loop, tiles, adapters, loading again."""

import pytest
import torch
from safetensors.torch import load, save

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.encoders import causal_lm
from kontrast.encoders.causal_lm import CausalLM
from kontrast.losses.functional import dpo, simpo
from kontrast.modalities.text.marks import TURN

transformers = pytest.importorskip("transformers")

# Values of trl 1.16 (`DPOTrainer.compute_ref_log_probs`) for `filled(0.3)` and `filled(0.0)` on these pairs.
TRL = {
    "chosen": [-17.51129722595215, -9.216845512390137, -8.383380889892578],
    "rejected": [-7.208585262298584, -24.126052856445312, -11.317231178283691],
    "chosen reference": [-18.50084114074707, -9.82663631439209, -7.895808219909668],
    "rejected reference": [-8.070608139038086, -25.510183334350586, -12.107895851135254],
}
CHOSEN = torch.tensor([[1, 2, 3, -2, 4, 5, 6, 7], [11, -2, 1, 2, -1, -1, -1, -1], [13, 14, 15, 16, 1, -2, 2, -1]])
REJECTED = torch.tensor([[1, 2, 3, -2, 8, 9, -1, -1], [11, -2, 3, 4, 5, 6, 7, 8], [13, 14, 15, 16, 1, -2, 3, 4]])
X = torch.tensor(
    [[3, 4, -2, 5, 6, 7], [7, -2, 8, -1, -1, -1], [1, 2, 3, 4, 5, 6], [-2, 1, -1, -1, -1, -1], [3, -2, 2, -2, 8, 9]]
)


def filled(folder, shift: float, **more) -> str:
    """A tiny Llama with weights from a sine, as the values of trl were computed with; no token starts a text."""
    shape = {"vocab_size": 17, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    ends = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0, "tie_word_embeddings": True}
    made = transformers.LlamaForCausalLM(transformers.LlamaConfig(num_attention_heads=2, **shape, **{**ends, **more}))
    with torch.no_grad():
        for k, (_, p) in enumerate(sorted(made.named_parameters())):
            v = torch.arange(p.numel(), dtype=torch.float64).mul(0.7).add(k + shift).sin().view(p.shape)
            p.copy_(1 + 0.1 * v if p.ndim == 1 else 0.5 * v)
    made.save_pretrained(folder)
    return str(folder)


def small(**settings) -> CausalLM:
    torch.manual_seed(0)
    return CausalLM(vocabulary=50, width=32, heads=2, **settings)


def slow(encoder: CausalLM, row: list[int]) -> tuple[float, int]:
    """Log-probability of a row's answer in float64, a token at a time, and its number of tokens."""
    gap = max((k for k, token in enumerate(row) if token == -2), default=-1)
    prompt, answer = ([t for t in part if t >= 0] for part in (row[:gap] if gap > 0 else [], row[gap + 1 :]))
    ids = [50, *prompt, *answer, 50]
    wide, total = encoder.double(), 0.0
    for at in range(len(prompt) + 1, len(ids)):
        last = wide.model(input_ids=torch.tensor([ids[:at]])).last_hidden_state[0, -1]
        total += (last @ wide.model.get_input_embeddings().weight.T).log_softmax(0)[ids[at]].item()
    encoder.float()
    return total, len(answer) + 1


@pytest.mark.parametrize(("shift", "name"), [(0.3, ""), (0.0, " reference")])
def test_log_probabilities_are_those_of_trl(tmp_path, shift, name):
    encoder = CausalLM(vocabulary=17, model=filled(tmp_path, shift)).eval()
    for side, x in (("chosen", CHOSEN), ("rejected", REJECTED)):
        found = encoder(x).dense[..., 0].sum(1)
        torch.testing.assert_close(found, torch.tensor(TRL[side + name]), rtol=1e-5, atol=1e-4)


def test_losses_are_those_of_trl(tmp_path):
    encoders = [CausalLM(vocabulary=17, model=filled(tmp_path / str(at), at)).eval() for at in (0.3, 0.0)]
    features = [[encoder(x) for x in (CHOSEN, REJECTED)] for encoder in encoders]
    chosen, rejected, *reference = (f.dense[..., 0].sum(1) for pair in features for f in pair)
    assert dpo(chosen, rejected, *reference).item() == pytest.approx(0.7261683344841003, abs=1e-5)  # DPOTrainer
    lengths = (f.mask.sum(1) for f in features[0])
    assert simpo(chosen, rejected, *lengths).item() == pytest.approx(2.0172278881073, abs=1e-5)  # CPOTrainer, "simpo"


def test_log_probabilities_are_those_of_a_slow_loop_in_any_batch(monkeypatch):
    encoder = small().eval()
    features = encoder(X)
    expected = [slow(encoder, row) for row in X.tolist()]
    torch.testing.assert_close(features.dense[..., 0].sum(1).tolist(), [p for p, _ in expected], rtol=1e-5, atol=1e-5)
    assert features.mask.sum(1).tolist() == [n for _, n in expected]
    assert (features.dense[..., 0][~features.mask] == 0).all()
    monkeypatch.setattr(causal_lm, "TILE", 51 * 3)  # three positions at a time
    monkeypatch.setattr(causal_lm, "PIECE", 8)  # a row or two at a time
    pieces = encoder(X)
    torch.testing.assert_close(pieces.dense, features.dense)
    torch.testing.assert_close(pieces.pooled, features.pooled)
    alone = encoder(X[1:2, :3])
    torch.testing.assert_close(alone.dense[0], features.dense[1, :5])
    torch.testing.assert_close(encoder.traced(X), features.pooled)


def test_tiles_have_the_gradient_of_the_whole(monkeypatch):
    slopes = []
    for tile in (1 << 24, 51 * 4):
        monkeypatch.setattr(causal_lm, "TILE", tile)
        encoder = small()
        (encoder(X).dense[..., 0].sum(1) * torch.arange(1.0, 6)).sum().backward()
        slopes.append(torch.cat([p.grad.flatten() for p in encoder.parameters()]))
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-6)


def test_no_matrix_of_tokens_and_vocabulary_is_kept_for_the_gradient():
    encoder, kept = CausalLM(vocabulary=5000, width=16, heads=2, layers=1), []
    x = torch.randint(0, 5000, (4, 60))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        encoder(x)
    assert max(kept) <= 5001 * 16  # the table itself; logits would be 4 * 61 * 5001


@pytest.mark.parametrize(("pooling", "at"), [("last", slice(7, 8)), ("mean", slice(3, 8))])
def test_pooled_features_are_of_the_last_token_or_the_mean_over_the_answer(pooling, at):
    encoder = small(pooling=pooling).eval()
    ids = torch.tensor([[50, 3, 4, 5, 6, 7, 8, 50]])
    hidden = encoder.model(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(encoder(torch.tensor([[3, 4, -2, 5, 6, 7, 8]])).pooled[0], hidden[at].mean(0))


def test_an_empty_batch_has_no_rows_and_touches_every_parameter():
    encoder = small()
    features = encoder(torch.zeros(0, 3, dtype=torch.int64))
    assert (features.pooled.shape, len(features.dense), len(features.mask)) == ((0, 32), 0, 0)
    (features.pooled.sum() + features.dense.sum()).backward()
    assert all(p.grad is not None and not p.grad.any() for p in encoder.parameters())
    assert small()(torch.full((2, 3), -1)).pooled.isfinite().all()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("train", ["full", "lora", "frozen"])
def test_a_run_loads_it_again_without_the_pretrained_model(tmp_path, train, tied):
    torch.manual_seed(0)
    model = filled(tmp_path / "model", 0.3, tie_word_embeddings=tied)
    encoder = CausalLM(vocabulary=17, model=model, train=train, rank=2)
    with torch.no_grad():
        [p.add_(0.1) for p in encoder.parameters() if p.requires_grad]
    learned = {
        name.split(".")[-3 if "lora" in name else -1] for name, p in encoder.named_parameters() if p.requires_grad
    }
    assert learned == {"full": {"weight"}, "lora": {"lora_A", "lora_B"}, "frozen": set()}[train]
    encoder.keep(tmp_path / "run")
    weights = load(save(encoder.state_dict()))  # refuses shared memory
    twin = CausalLM(vocabulary=17, train=train, rank=2, **CausalLM.kept(tmp_path / "run"))
    twin.load_state_dict(weights)
    torch.testing.assert_close(twin.eval()(CHOSEN).dense, encoder.eval()(CHOSEN).dense)
    assert (encoder.pace, small().pace) == (0.1, 1.0)


def test_a_small_model_needs_nothing_but_its_settings(tmp_path):
    small().keep(tmp_path / "run")
    assert CausalLM.kept(tmp_path / "run") == {}
    assert CausalLM.wants({}) == {"turn": TURN, "deletion": 0.0, "vocabulary": 2048}
    assert CausalLM.wants({"model": "a/b"})["tokenizer"] == "a/b"


def test_blocks_can_be_computed_again():
    plain, again = small(), small()
    assert again.recompute()
    for encoder in (plain, again):
        encoder(X).dense.sum().backward()
    for p, q in zip(plain.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_models_that_do_not_fit_are_refused_in_words(tmp_path):
    with pytest.raises(UserError, match="width=30, heads=4"):
        factory.build("encoders", "causal_lm", {"width": 30}, {"vocabulary": 9})
    with pytest.raises(UserError, match="holds no causal language model"):
        CausalLM(vocabulary=9, model=str(tmp_path))
    shape = {"vocab_size": 60, "n_embd": 32, "n_layer": 1, "n_head": 2, "bos_token_id": 59, "eos_token_id": 59}
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(UserError, match="no linear layer"):
        CausalLM(vocabulary=59, model=str(tmp_path / "gpt2"), train="lora")
    assert CausalLM(vocabulary=59, model=str(tmp_path / "gpt2"))(X).dense.isfinite().all()
    config = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 16, "final_logit_softcapping": 0.01}
    transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**config)).save_pretrained(tmp_path / "gemma")
    with pytest.raises(UserError, match="more than a linear map"):
        CausalLM(vocabulary=59, model=str(tmp_path / "gemma"))
