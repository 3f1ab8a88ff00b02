"""Words weighed by how rare they are, reduced to 256 numbers."""

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.league.contestant import Budget, Contestant, Embed
from benchmarks.league.task import Task

WIDTH = 256


class Tfidf(Contestant):
    """scikit-learn's TF-IDF of words and pairs of words; fields that are compared share one vocabulary."""

    title, standing = "TF-IDF", "plain"

    def suits(self, task: Task) -> bool:
        """Texts alone."""
        return set(task.kinds.values()) == {"text"}

    def fit(self, task: Task, budget: Budget, seed: int) -> Embed:
        """Of the training rows."""
        texts = [text for field in task.kinds for text in task.train[field]]
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, max_features=50_000)
        counts = words.fit_transform(texts)
        axes = TruncatedSVD(min(WIDTH, counts.shape[1] - 1), random_state=seed).fit(counts)
        return lambda field, cells: axes.transform(words.transform(cells))
