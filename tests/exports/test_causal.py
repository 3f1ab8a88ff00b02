"""A trained causal language model is read by transformers: same probabilities, its own tokenizer, ready to generate."""

import pytest
import torch

import kontrast as kt
from kontrast.exports.exporting import export
from kontrast.reporting.logger import NullLogger
from kontrast.runs.folder.folder import Folder
from kontrast.runs.model import Model

transformers = pytest.importorskip("transformers")

TINY = {"name": "causal_lm", "width": 16, "heads": 2, "layers": 1}
TALK = [f"Human: what is {n}?\n\nAssistant: {n} is a number" for n in range(30)]


@pytest.mark.parametrize("train", ["full", "lora"])
def test_transformers_reads_a_causal_model_with_what_it_learned(tmp_path, train):
    rows = {"chosen": TALK, "rejected": [text + " or whatever you like" for text in TALK]}
    settings = {"encoders.text": {**TINY, "train": train}, "plan.learning_rate": 0.01}
    run = kt.train(rows, recipe="simpo", steps=3, batch=8, settings=settings, out=tmp_path / "run", logger=NullLogger())
    made = export(run, "hub", tmp_path / "model")
    assert made.facts["text"] == 'transformers.AutoModelForCausalLM.from_pretrained("THIS-FOLDER")'
    model = transformers.AutoModelForCausalLM.from_pretrained(made.folder, local_files_only=True).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(made.folder, local_files_only=True)
    ours = Model.load(Folder(run.path))
    encoder = ours.learner.eval().encoders.encoder("chosen")
    prompt, answer = (tokens(part, add_special_tokens=False)["input_ids"] for part in (TALK[3][:29], TALK[3][29:]))
    assert TALK[3][:29].endswith("Assistant:")
    ids = [tokens.eos_token_id, *prompt, *answer, tokens.eos_token_id]
    with torch.no_grad():
        log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        packed = ours.modalities["chosen"].pack(ours.modalities["chosen"].read(TALK[3], tmp_path))
        found = encoder(torch.from_numpy(packed)[None].long()).dense.sum()
    expected = sum(log_probs[at - 1, ids[at]] for at in range(1 + len(prompt), len(ids)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    said = model.generate(torch.tensor([ids[: 1 + len(prompt)]]), max_new_tokens=3, do_sample=False)
    assert said.shape[1] >= len(prompt) + 2
