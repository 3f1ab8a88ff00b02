"""A Dataset or DatasetDict of Hugging Face's datasets: in memory, saved in a folder, or by its name on the hub."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from kontrast.core.errors import UserError
from kontrast.data.schema import split
from kontrast.data.sources.python_values import frame_of_table
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables import uri
from kontrast.data.tables.arrow_cache import refusing_damage
from kontrast.data.tables.column_reader import plain
from kontrast.data.tables.frame import ANYWHERE, Frame


class HubDataset(SourceReader):
    """A dataset of Hugging Face: in memory, saved in a folder, or by name on the hub.

    A `datasets.Dataset`, or a DatasetDict of parts named like a split; a folder that `save_to_disk` wrote; or
    `hf:NAME`, `hf:NAME@SPLIT`, `hf:NAME:CONFIGURATION@SPLIT`, fetched from the hub once.
    """

    order = 25
    reads = "a Dataset of Hugging Face (hf:NAME, or saved in a folder)"

    def claims(self, data: object) -> bool:
        """Claims datasets of the `datasets` library, and folders that `save_to_disk` wrote."""
        if isinstance(data, Path):
            files = [(data / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json")]
            return files[0] or all(files[1:])
        if isinstance(data, str):
            return data.startswith("hf:")
        datasets = sys.modules.get("datasets")
        return datasets is not None and isinstance(data, datasets.Dataset | datasets.DatasetDict)

    def open(self, data: object, cache: Path | None) -> Frame:
        """Takes the Arrow table of the dataset; images stay encoded, class numbers become names."""
        import datasets
        from datasets.config import HF_CACHE_HOME

        name = data.name if isinstance(data, Path) else uri.short_name(data) if isinstance(data, str) else "Dataset"
        folder, hub = data if isinstance(data, Path) else None, isinstance(data, str)
        if isinstance(data, Path):
            data = _saved(data)
        elif isinstance(data, str):
            data = _named(data)
        where = folder or Path.cwd()
        within = () if folder else (Path(HF_CACHE_HOME),) if hub else ANYWHERE
        if isinstance(data, datasets.Dataset):
            with refusing_damage(name):
                return replace(_frame(data, name, where), within=within)
        assert isinstance(data, datasets.DatasetDict)
        unknown = [key for key in data if split.part(key) is None]
        if unknown:
            raise UserError(
                f"DatasetDict has a part '{unknown[0]}'; expected train, test, validation. "
                "Pass only parts of these names."
            )
        with refusing_damage(name):
            frames = {str(key): _frame(part, f"{name}, {key}", where) for key, part in data.items()}
            return replace(split.joined(frames, name), within=within)


def _saved(folder: Path) -> Any:
    """Reads what `save_to_disk` wrote; the library trusts the contents of its JSON files."""
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever a stranger's JSON makes that library stumble over
        words = (str(error).splitlines() or [""])[0][:200].rstrip(".")
        raise UserError(
            f"{folder} is no dataset that can be read ({type(error).__name__}: {words}); expected what save_to_disk "
            "writes. Save it again."
        ) from error


def _named(data: str) -> Any:
    """Loads from the hub, or from the cache of datasets, shared with all programs that use it."""
    import datasets
    from datasets.exceptions import DatasetsError

    where, _, part = data.removeprefix("hf:").partition("@")
    name, _, configuration = where.partition(":")
    if not name:
        raise UserError("hf: names no dataset; expected hf:NAME or hf:NAME@SPLIT, such as hf:rotten_tomatoes@train.")
    try:
        return datasets.load_dataset(name, configuration or None, split=part or None)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        words = " ".join(str(error.__cause__ or error).split())[:300]
        raise UserError(
            f"{data}: {words.rstrip('.')}. Check the name, the configuration and the split; without a network only "
            "what was fetched before is found, and a dataset saved by save_to_disk can be named by its folder."
        ) from error


def _frame(data: Any, name: str, folder: Path) -> Frame:
    from datasets import ClassLabel

    table: pa.Table = data.with_format("arrow")[:]
    table.validate(full=True)
    for place, column in enumerate(table.column_names):
        feature = data.features[column]
        values = plain(table[column])
        if isinstance(feature, ClassLabel):
            names = pa.array(feature.names, pa.string())
            known = values.cast(pa.int64())
            values = pa.chunked_array([names.take(_known(chunk)) for chunk in known.chunks], pa.string())
        table = table.set_column(place, column, values)
    return frame_of_table(table.replace_schema_metadata(None), name, folder)


def _known(numbers: pa.Array) -> pa.Array:
    """Turns -1, which means no label, into missing."""
    values = numbers.fill_null(-1).to_numpy(zero_copy_only=False)
    return pa.array(values, pa.int64(), mask=values < 0)
