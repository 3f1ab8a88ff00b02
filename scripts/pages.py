"""The pages of docs/ as blocks of code, and what it means to run a page.

| block | what happens to it |
|---|---|
| ```python | run; with >>> as a doctest; all blocks of a page share one namespace |
| ```python title="my_lab/ideas.py", ```json title="mix.json" | written to that file, for what follows |
| ```python title="lightly" | another library's code: parsed, never run |
| ```console | each `$ kontrast ...` is run, and ends as the title says (`exit code 2`), else with 0 |
| ```sh | each line is a command, without its output |
| ```sh title="needs the network" (or `takes ...`) | only its commands and options are checked |
| ```text | nothing |

A page begins with `<!-- needs: runs/pairs-1 -->` where it uses runs that no block on it makes. Every page runs in a
folder of its own with the data of scripts/example_data.py.
"""

import ast
import doctest
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
LANGUAGES = {"python", "json", "console", "sh", "text"}
_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"[-+]?\.?\d")
# What a machine or a shorter training changes is compared by its first word alone.
_MACHINE = ("computing", "health", "forecast", "overfit", "verdict", "split", "near", "recipe", "contrast")
_VERDICTS = ("BETTER", "WORSE", "SAME", "HIGHER", "LOWER")

Shell = Callable[[list[str]], tuple[int, str]]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, what stands in it, and on which line of the page it begins."""

    language: str
    title: str
    text: str
    line: int

    @property
    def kind(self) -> str:
        """What happens to it: run, session, file, foreign, unrun or text."""
        if self.language in ("console", "sh"):
            return "unrun" if self.title.startswith(("needs", "takes")) else "session"
        if self.language == "python" and not self.title:
            return "run"
        return "file" if "." in self.title else "foreign" if self.language == "python" else "text"


def pages() -> list[Path]:
    """All pages, in order."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf8")
    return [Block(m[1], m[2] or "", m[3], text[: m.start()].count("\n") + 1) for m in _FENCE.finditer(text)]


def needs(page: Path) -> list[str]:
    """The runs a page begins with."""
    said = re.search(r"<!-- needs: (.*?) -->", page.read_text(encoding="utf8"))
    return said[1].split() if said else []


def sessions(block: Block) -> Iterator[tuple[str, list[str]]]:
    r"""(a command, the lines shown under it), of a console or sh block; a line that ends in \ goes on."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "sh":
        yield from ((line, []) for line in lines if shlex.split(line, comments=True))
        return
    starts = [at for at, line in enumerate(lines) if line.startswith("$ ")]
    for at, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[at][2:], lines[at + 1 : end]


def run(page: Path, folder: Path, shell: Shell, *, heard: Callable[[Block, str], None] | None = None) -> None:
    """Run all blocks of a page in `folder`, which is the working folder; the first that does otherwise raises.

    heard: called with every session's block and what its commands printed; then no Python is run, nor what shows
    nothing.
    """
    names: dict[str, object] = {"__name__": f"docs.{page.stem}"}
    for block in blocks(page):
        place = f"{page.relative_to(DOCS)}:{block.line}"
        if block.language not in LANGUAGES:
            raise AssertionError(f"{place}: a block of language {block.language!r}; expected one of {LANGUAGES}.")
        if heard and block.kind != "file" and block.language != "console":
            continue
        if block.kind == "file":
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf8")
        elif block.kind == "foreign":
            ast.parse(block.text)
        elif block.kind == "run":
            _python(block, names, place)
        elif block.kind == "session":
            printed = "".join(_session(line, shown, block, place, shell) for line, shown in sessions(block))
            if heard:
                heard(block, printed)


def _python(block: Block, names: dict[str, object], place: str) -> None:
    if ">>>" not in block.text:
        exec(compile(block.text, place, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, place, place, 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    test.globs = names  # the parser took a copy; what this block defines, the next one uses
    if runner.run(test, out=said.append, clear_globs=False).failed:
        raise AssertionError(f"{place}:\n{''.join(said)}")


def _session(line: str, shown: list[str], block: Block, place: str, shell: Shell) -> str:
    words = shlex.split(line, comments=True)
    if words[0] != "kontrast":
        raise AssertionError(f"{place}: {words[0]} cannot be run here; give the block a title: what it needs.")
    code, printed = shell(words[1:])
    wanted = re.fullmatch(r"exit code (\d+)", block.title)
    if code != (int(wanted[1]) if wanted else 0):
        raise AssertionError(f"{place}: {line} ended with {code}:\n{printed}")
    said = [one.rstrip() for one in printed.rstrip().splitlines() if "━" not in one]  # a bar is no answer
    there = [" ".join(one.split()) for one in said]
    for one in shown:
        begins = _beginning(one)
        if begins and not any(other.startswith(begins) for other in there):
            raise AssertionError(f"{place}: {line} shows no line {begins!r}:\n{printed}")
    return "".join(f"{one}\n" for one in [f"$ {line}", *said])


def _beginning(line: str) -> str:
    """What of a shown line must be there: all before its first number. Indented lines follow from others."""
    if not line.strip() or line.startswith((" ", "...")):
        return ""
    first = line.split()[0]
    if first in _VERDICTS:
        return ""
    return first if first in _MACHINE else " ".join(_NUMBER.split(line)[0].split())
