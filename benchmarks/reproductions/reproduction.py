"""The contract of a table that `benchmarks/reproduce.py` computes: one file per sub-command."""

import argparse
from abc import ABC, abstractmethod


class Reproduction(ABC):
    """Sub-command, called as its file; the first line of its module's docstring says what it computes."""

    @abstractmethod
    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options of its own; `--data` and `--out` are there."""

    @abstractmethod
    def run(self, asked: argparse.Namespace) -> str:
        """Computes the table, in Markdown; `asked.out` is a folder for parts that a later call need not repeat."""
