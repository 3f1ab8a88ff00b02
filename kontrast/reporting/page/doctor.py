"""Doctor's findings for the report: by level with evidence, and the picture of the views."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kontrast.core import untrusted_json
from kontrast.core.number_format import many
from kontrast.reporting.page.safe import esc

FILE = "doctor.json"
_GRAVE = {"error": "bad", "warning": "mixed", "note": "unknown"}  # level -> colour class, as the verdict's tones


def load(folder: Path) -> list[dict[str, Any]]:
    """Findings of doctor.json in a run folder, with pictures embedded; empty without that file.

    Args:
        folder: Run folder.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    shape = [{"name": str, "level": str, "words": str, "rows?": list, "numbers": dict}]
    findings = untrusted_json.shaped(untrusted_json.tree(untrusted_json.text(path), str(path)), shape, str(path))
    for finding in findings:
        picture = folder / Path(str(finding["numbers"].get("picture", ""))).name
        if picture.suffix == ".png" and picture.is_file():
            finding["picture"] = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    return findings


def section(findings: Sequence[Mapping[str, Any]]) -> str:
    """Section of findings.

    Args:
        findings: {"name", "level", "words", "rows": ids} each, and optionally "picture", a data URI.

    Returns:
        HTML; "" without findings.
    """
    if not findings:
        return ""
    grave = [finding for finding in findings if finding["level"] in _GRAVE]
    facts = [finding for finding in findings if finding["level"] not in _GRAVE and not finding.get("picture")]
    counts = {level: sum(f["level"] == level for f in grave) for level in _GRAVE}
    summary = " · ".join(many(n, level) for level, n in counts.items() if n) or "nothing wrong found"
    pictures = "".join(
        f"<h3>Views before training</h3><div class='scroll'><img class='sheet' alt='rows as they are and as training "
        f"sees them' src='{esc(f['picture'])}'></div>"
        for f in findings
        if f.get("picture")
    )
    listed = "".join(f"<div><dt>{esc(f['name'])}</dt><dd>{esc(f['words'])}</dd></div>" for f in facts)
    return (
        f"<p class='note'>Before the first step: {summary}.</p>"
        + (f"<ul class='findings'>{''.join(map(_item, grave))}</ul>" if grave else "")
        + (f"<h3>Facts</h3><dl class='pairs'>{listed}</dl>" if facts else "")
        + pictures
    )


def _item(finding: Mapping[str, Any]) -> str:
    level = str(finding["level"])
    rows = ", ".join(map(str, finding.get("rows") or ()))
    seen = f"<small class='evidence'>{esc(rows)}</small>" if rows else ""
    return (
        f"<li class='{_GRAVE[level]}'><span class='tag'>{esc(level)}</span><div><b>{esc(finding['name'])}</b> "
        f"{esc(finding['words'])}{seen}</div></li>"
    )
