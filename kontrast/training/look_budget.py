"""Share of the training time that evaluations of validation rows may take."""

from dataclasses import dataclass

MOST = 200  # evaluations of a run: more make no curve clearer, and each costs a line of a file


@dataclass
class LookBudget:
    """Decides when validation rows are evaluated next, so that evaluations stay within a share of the time.

    The first evaluation is at the start and the last at the end; their time is paid back before any other is due.

    Attributes:
        share: Largest share of the seconds of training that evaluations take.
        spent: Seconds that evaluations took until now.
        longest: Seconds of the slowest of them; the first counts only until there is another, as it also loads and
            compiles what it uses.
        looks: Number of evaluations until now.
        last: Step of the last evaluation; -1 before the first.
    """

    share: float
    spent: float = 0.0
    longest: float = 0.0
    looks: int = 0
    last: int = -1

    def took(self, step: int, seconds: float) -> None:
        """Notes an evaluation after a step, and the seconds that it took."""
        self.longest = seconds if self.looks < 2 else max(self.longest, seconds)
        self.spent, self.looks, self.last = self.spent + seconds, self.looks + 1, step

    def due(self, step: int, total: int, seconds: float) -> bool:
        """Whether the validation rows are evaluated after a step.

        Args:
            step: Steps done.
            total: Steps of the whole run.
            seconds: Seconds of training until now, evaluations included.
        """
        if step <= self.last:
            return False
        if self.last < 0 or step >= total:
            return True
        near = step - self.last < total / MOST
        # this evaluation and the one at the end must still fit
        return not near and self.spent + 2 * self.longest <= self.share * seconds
