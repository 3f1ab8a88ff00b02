"""Model card: README.md as the Hugging Face hub shows it, written from a run's files."""

from collections.abc import Mapping, Sequence
from typing import Any

from kontrast.core.experiment import Experiment
from kontrast.core.number_format import interval, number


def card(
    name: str,
    experiment: Experiment,
    data: Mapping[str, Any] | None,
    scores: Mapping[str, Any] | None,
    loading: Sequence[str],
    library: str = "kontrast",
) -> str:
    """Writes a model card: method, loading, data with fingerprints, scores with intervals, verdict.

    The licence is left to the user: the field says `other`, and the text asks to fill it in.

    Args:
        name: Heading of the card.
        experiment: The run's experiment, without local paths.
        data: Content of data.json; None if there is none.
        scores: Content of scores.json; None if the run did not finish.
        loading: Lines of Python that load the folder.
        library: Name on the hub of the library that reads the folder. Default: "kontrast".

    Returns:
        The card as Markdown with a YAML head.
    """
    kinds = {view.name for view in experiment.views.values()}
    task = "sentence-similarity" if kinds == {"text"} else "feature-extraction"
    lines = ["---", f"library_name: {library}", "license: other", f"pipeline_tag: {task}"]
    tags = dict.fromkeys((library, "kontrast", "contrastive-learning", "embeddings"))
    lines += ["tags:", *(f"- {tag}" for tag in tags), "---", "", f"# {name}", ""]
    fields = ", ".join(f"{field} ({view.name})" for field, view in experiment.views.items())
    lines += [f"Embeddings of {fields}, learned by contrast with the task `{experiment.names}`.", ""]
    lines += ["**Licence**: not stated. Write it into the head of this file (`license:`) and here.", ""]
    lines += ["## Loading", "", "```python", *loading, "```", ""]
    lines += _data(data) + _scores(scores)
    encoders = ", ".join(f"{tower}: `{chosen.name}`" for tower, chosen in experiment.encoders.items())
    lines += ["## Training", "", f"Encoders: {encoders}. Seed {experiment.seed}. All settings: `experiment.json`.", ""]
    return "\n".join(lines)


def _data(data: Mapping[str, Any] | None) -> list[str]:
    if data is None:
        return []
    print_ = data["fingerprint"]
    watching = f" {data['validation']:,} for validation," if data.get("validation") else ""
    words = f"{data['rows']:,} rows: {data['train']:,} to train,{watching} {data['held_out']:,} held out."
    lines = ["## Data", "", words, ""]
    lines += ["| field | kind | rows | fingerprint of its content |", "|---|---|---|---|"]
    for field, facts in print_["fields"].items():
        lines.append(f"| {_cell(field)} | {facts['kind']} | {facts['rows']:,} | `{facts['content']}` |")
    return [*lines, "", f"Fingerprints of ids `{print_['ids']}`, of the split `{print_['split']}`.", ""]


def _scores(scores: Mapping[str, Any] | None) -> list[str]:
    if scores is None:
        return ["## Scores", "", "None: the run was not finished.", ""]
    verdict = scores["verdict"]
    lines = ["## Scores", "", f"**{verdict['words']}**"]
    lines += [f"- likely: {cause}" for cause in verdict.get("causes") or ()]
    lines += ["", "On held-out rows, with 95 % intervals over other rows like them; none where they are too few.", ""]
    lines += [
        "| score | field | this model | raw features | untrained | chance | rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in scores["scores"]:
        if row["trained"]:
            cells = [row["name"], row["field"] or "", *(_interval(row[k]) for k in ("trained", "raw", "untrained"))]
            cells += ["" if row["chance"] is None else number(row["chance"]), f"{row['rows']:,}"]
            lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return [*lines, ""]


def _interval(value: Mapping[str, float] | None) -> str:
    if value is None:
        return ""
    return f"{number(value['value'])} {interval(value['low'], value['high'])}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
