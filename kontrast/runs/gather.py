"""What the report tells, gathered from the files of a run."""

from kontrast.core.bank import Bank
from kontrast.runs.folder import Folder
from kontrast.runs.page import doctor
from kontrast.runs.report import Story


def gather(folder: Folder) -> Story:
    """The story of a finished run."""
    judged = folder.read_json("scores.json")
    samples = folder.read_json("samples.json")
    environment = folder.read_json("environment.json")
    return Story(
        title=folder.path.name,
        command=environment["command"],
        experiment=folder.read_json("experiment.json"),
        environment=environment,
        data=folder.read_json("data.json"),
        moments=folder.moments(),
        verdict=judged["verdict"],
        scores=[row for row in judged["scores"] if row["trained"]],
        not_judged=[(row["name"], row["reason"]) for row in judged["scores"] if not row["trained"]],
        bank=Bank.load(folder.path / "banks" / "trained-test.parquet"),
        thumbnails=samples["thumbnails"],
        views=samples["views"],
        doctor=doctor.load(folder.path),
    )
