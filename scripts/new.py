"""Writes the file of a new loss, kernel, relation, augmentation, encoder or evaluator, from scripts/templates.

    python -m scripts.new loss MyLoss               # in the package: kontrast/losses/contrastive/my_loss.py
    python -m scripts.new loss MyLoss --to my_lab   # in your own: my_lab/my_loss.py, named my_lab.my_loss:MyLoss

The file passes the contract tests of its room as it stands; then change the equation and the docstring.
"""

import argparse
import keyword
import re
import sys
from pathlib import Path

from kontrast.core import registry

TEMPLATES = Path(__file__).resolve().parent / "templates"
# Kind -> its room, and one of that kind beside which the file is put.
ROOMS = {
    "loss": ("losses", "infonce"),
    "kernel": ("kernels", "cosine"),
    "relation": ("relations", "same_key"),
    "augmentation": ("augmentations", "blur"),
    "encoder": ("encoders", "resnet"),
    "evaluator": ("evaluators", "knn"),
}


def write(kind: str, name: str, folder: Path | None = None) -> Path:
    """Writes the file and returns its path.

    Args:
        kind: "loss", "kernel", "relation", "augmentation", "encoder" or "evaluator".
        name: Name of the class, `MyLoss`, or of the file, `my_loss`.
        folder: Where to write it; default: the folder of the room in the package.

    Raises:
        ValueError: The name is no Python name, or is taken.
    """
    room, neighbour = ROOMS[kind]
    stem, made = spellings(name)
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise ValueError(f"'{name}' is no name of a Python class; expected letters, digits and underscores.")
    if folder is None:
        if taken := registry.named(stem):
            raise ValueError(f"the name '{stem}' is taken by {taken[0].module}; choose another.")
        folder = registry.PACKAGE.parent.joinpath(*registry.locate(room, neighbour).module.split(".")[:-1])
    file = folder / f"{stem}.py"
    if file.exists():
        raise ValueError(f"{file} exists; choose another name, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf8")
    file.write_text(text.replace("Template", made).replace("template", stem), encoding="utf8")
    return file


def spellings(name: str) -> tuple[str, str]:
    """(name of the file, name of the class): `my_loss`, `MyLoss`."""
    words = name.replace("-", "_")
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
    made = words if "_" not in words and not words.islower() else "".join(word.capitalize() for word in stem.split("_"))
    return stem, made


def main(arguments: list[str] | None = None) -> int:
    """Reads the command line; returns 2 where a name cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m scripts.new", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kind", choices=ROOMS)
    parser.add_argument("name")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="a package of your own")
    asked = parser.parse_args(arguments)
    try:
        file = write(asked.kind, asked.name, asked.to)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    stem, made = spellings(asked.name)
    print(file)
    if asked.to is None:
        print("test it: pytest tests -k", stem, "· then write the pages anew: python scripts/build_docs.py")
    else:
        print(f"its name: {'.'.join(asked.to.parts)}.{stem}:{made}" if not asked.to.is_absolute() else made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
