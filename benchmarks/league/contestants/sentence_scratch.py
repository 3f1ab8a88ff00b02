"""sentence-transformers without anybody's weights, as kontrast's default begins."""

from typing import Any

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.sentences import train
from benchmarks.league.task import Task

WIDTH, VOCABULARY, RATE, BATCH = 256, 8192, 5e-3, 256


class SentenceScratch(Contestant):
    """Its StaticEmbedding, which it trains at such rates, under a word-piece vocabulary of the training rows.

    A static embedding has no dropout of its own, so one is put behind it: without, a text and itself were the same.
    """

    title, standing, needs = "sentence-transformers, from scratch", "peer", ("sentence_transformers",)

    def suits(self, task: Task) -> bool:
        """Texts alone."""
        return set(task.kinds.values()) == {"text"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """New weights."""
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Dropout, StaticEmbedding

        texts = [text for field in task.kinds for text in task.train[field]]
        embedding = StaticEmbedding(_tokenizer(texts), embedding_dim=WIDTH)
        model = SentenceTransformer(modules=[embedding, Dropout(0.1)], device="cpu")
        self.facts["steps"] = train(model, task, budget, seed, rate=RATE, batch=BATCH)
        return lambda field, cells: model.encode(list(cells), batch_size=256, show_progress_bar=False)


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=["[UNK]"], show_progress=False)
    )
    return made
