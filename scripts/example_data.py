"""The small data that the pages of docs/ use: three kinds of drawn clothes, words about them, and waves.

    python scripts/example_data.py somewhere/

Drawn anew from one seed, so that no picture has to be stored and a reader can replay every page. Tests call `make`.
"""

import csv
import json
import sqlite3
import sys
import tarfile
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = {
    "hat": [[(7, 15), (8, 8), (15, 8), (16, 15)], [(3, 15), (20, 15), (20, 18), (3, 18)]],
    "shirt": [[(3, 6), (9, 4), (14, 4), (20, 6), (20, 11), (16, 11), (16, 20), (7, 20), (7, 11), (3, 11)]],
    "trousers": [[(7, 3), (16, 3), (17, 21), (13, 21), (12, 9), (11, 9), (10, 21), (6, 21)]],
}
COLOURS = {"red": (205, 45, 45), "green": (50, 150, 70), "blue": (50, 80, 200), "grey": (125, 125, 125)}
COLOURS |= {"yellow": (225, 190, 40), "brown": (125, 80, 45)}
CLOTHS = ("wool", "linen", "cotton", "silk")
ROWS = 120


def make(folder: Path) -> None:
    """All of it, in that folder."""
    rng = np.random.default_rng(0)
    goods = [_one(n, rng, folder / "clothes") for n in range(ROWS)]
    columns = ("photo", "caption", "class")
    _table(folder / "pairs.csv", goods, columns)
    _table(folder / "more.csv", [_one(n, rng, folder / "more") for n in range(30)], columns)
    lacking = [{**row, ("photo", "caption")[n % 2]: "" if n % 5 == 0 else row[("photo", "caption")[n % 2]]}
               for n, row in enumerate(goods)]  # fmt: skip
    _table(folder / "catalogue.csv", lacking, columns)
    _table(folder / "captions.csv", goods, ("caption", "class"))
    _table(folder / "questions.csv", [_question(row) for row in goods], ("question", "answer"))
    _table(folder / "prices.csv", goods, ("sku", "price"))
    _table(folder / "photos.csv", goods, ("sku", "photo"))
    with (folder / "goods.jsonl").open("w", encoding="utf8") as file:
        file.writelines(json.dumps({"sku": row["sku"], "caption": row["caption"]}) + "\n" for row in goods)
    _texts(folder / "notes", goods)
    _shop(folder / "shop.db", goods)
    _shards(folder, goods)
    _waves(folder)
    _people(folder / "people.csv")
    _sounds(folder)
    _readings(folder / "readings.csv")
    _plays(folder / "plays.jsonl")
    _videos(folder)


def _one(n: int, rng: np.random.Generator, folder: Path) -> dict[str, str]:
    """A picture on the disk and its row."""
    kind, colour = list(KINDS)[n % len(KINDS)], list(COLOURS)[int(rng.integers(len(COLOURS)))]
    cloth, size = CLOTHS[int(rng.integers(len(CLOTHS)))], int(rng.integers(36, 61))
    x, y = rng.integers(-2, 3, 2)
    picture = Image.new("RGB", (24, 24), tuple(int(v) for v in rng.integers(225, 256, 3)))
    for shape in KINDS[kind]:
        ImageDraw.Draw(picture).polygon([(a + x, b + y) for a, b in shape], fill=COLOURS[colour])
    noise = rng.normal(0, 6, (24, 24, 3))
    picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    place = folder / kind / f"{n:03d}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.save(place)
    words = f"{colour} {kind} of {cloth}, size {size}"
    return {"sku": f"{folder.name}-{n:03d}", "photo": place.relative_to(folder.parent).as_posix(), "caption": words,
            "class": kind, "colour": colour, "cloth": cloth, "price": f"{rng.uniform(9, 90):.2f}"}  # fmt: skip


def _question(row: dict[str, str]) -> dict[str, str]:
    return {"question": f"Is there a {row['colour']} {row['class']} below {float(row['price']) + 1:.0f} euro?",
            "answer": f"Yes: {row['caption']}, for {row['price']} euro."}  # fmt: skip


def _table(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _texts(folder: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        place = folder / row["class"] / f"{row['sku']}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{row['caption']}. Washed by hand, dried in the shade.\n", encoding="utf8")


def _shop(path: Path, rows: list[dict[str, str]]) -> None:
    path.unlink(missing_ok=True)
    shop = sqlite3.connect(path)
    with shop:
        shop.execute("CREATE TABLE goods (sku TEXT, photo TEXT, title TEXT, price REAL)")
        values = [(row["sku"], row["photo"], row["caption"], float(row["price"])) for row in rows]
        shop.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", values)
    shop.close()


def _shards(folder: Path, rows: list[dict[str, str]]) -> None:
    """shards/clothes-000.tar and -001.tar as WebDataset writes them: KEY.png and KEY.txt are one row."""
    (folder / "shards").mkdir(exist_ok=True)
    for shard in range(2):
        with tarfile.open(folder / "shards" / f"clothes-{shard:03d}.tar", "w") as tar:
            for row in rows[shard :: 2]:  # fmt: skip
                text = folder / "notes" / row["class"] / f"{row['sku']}.txt"
                tar.add(folder / row["photo"], f"{row['sku']}.png")
                tar.add(text, f"{row['sku']}.txt")


def _people(path: Path) -> None:
    """Plain columns of three kinds of people, a tenth of the ages missing."""
    rng = np.random.default_rng(2)
    rows = []
    for n in range(ROWS):
        kind = n % 3
        age, income = 30 + 12 * kind + rng.normal(0, 5), np.exp(rng.normal(7.5 + 0.4 * kind, 0.3))
        hired = np.datetime64("2020-01-01") + int(rng.integers(300 * kind, 300 * kind + 300))
        row = {"age": "" if n % 10 == 9 else f"{age:.0f}", "income": f"{income:.2f}"}
        row |= {"job": ("cook", "nurse", "pilot")[int(rng.integers(3)) if rng.random() < 0.3 else kind]}
        row |= {"hired": str(hired), "member": str(bool(rng.random() < 0.3 + 0.2 * kind)).lower()}
        rows.append({**row, "class": ("low", "middle", "high")[kind]})
    _table(path, rows, tuple(rows[0]))


def _waves(folder: Path) -> None:
    """waves.npz: x (120, 64), y (120,); WAVES_TRAIN.tsv and WAVES_TEST.tsv: the same kinds as a UCR set."""
    rng = np.random.default_rng(1)
    t = np.linspace(0, 1, 64)
    kinds = np.arange(ROWS) % 3
    phase, height = rng.uniform(0, 1, (ROWS, 1)), rng.uniform(0.5, 2, (ROWS, 1))
    slow, fast, saw = (np.sin(2 * np.pi * (2 * t + phase)), np.sin(2 * np.pi * (6 * t + phase)),
                       2 * ((3 * t + phase) % 1) - 1)  # fmt: skip
    x = height * np.stack([slow, fast, saw])[kinds, np.arange(ROWS)] + 0.2 * rng.standard_normal((ROWS, 64))
    np.savez(folder / "waves.npz", x=x.astype(np.float32), y=kinds)
    (folder / "ucr").mkdir(exist_ok=True)
    for part, rows in (("TRAIN", slice(0, 80)), ("TEST", slice(80, ROWS))):
        lines = ["\t".join([str(k), *(f"{v:.4f}" for v in row)]) for k, row in zip(kinds[rows], x[rows], strict=True)]
        (folder / "ucr" / f"WAVES_{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf8")


def _readings(path: Path) -> None:
    """A long table: each minute two readings of a device, of three kinds, a tenth of them missing, in any order."""
    rng = np.random.default_rng(3)
    rows = []
    for n in range(60):
        t = np.flatnonzero(rng.random(int(rng.integers(40, 80))) < 0.9)
        hot = np.sin((0.2 + 0.2 * (n % 3)) * t + rng.uniform(0, 6)) + 0.1 * rng.normal(size=len(t))
        load = np.cos((0.5 - 0.1 * (n % 3)) * t) + 0.1 * rng.normal(size=len(t))
        for minute, one, two in zip(t, hot, load, strict=True):
            row = {"device": f"dev{n:02d}", "t": str(np.datetime64("2024-05-17T10:00:00") + 60 * int(minute))}
            rows.append({**row, "temp": f"{one:.3f}", "load": f"{two:.3f}", "state": ("ok", "worn", "broken")[n % 3]})
    rng.shuffle(rows)
    _table(path, rows, tuple(rows[0]))


def _sounds(folder: Path) -> None:
    """sounds/KIND/N.wav, 60 clips of a bell, a buzz and a hiss; sounds.csv names them, with words."""
    rng, rate = np.random.default_rng(2), 8000
    rows = []
    for n in range(ROWS // 2):
        t = np.arange(int(rate * rng.uniform(0.3, 0.6))) / rate
        pitch = rng.uniform(300, 900)
        bell = sum(np.sin(2 * np.pi * pitch * k * t) for k in (1, 2.76, 5.4)) * np.exp(-6 * t) / 3
        buzz = 2 * ((pitch / 4 * t) % 1) - 1
        hiss = rng.normal(0, 0.4, len(t)) * np.hanning(len(t))
        kind = ("bell", "buzz", "hiss")[n % 3]
        place = folder / "sounds" / kind / f"{n}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(place), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", "not compressed"))
            loud = rng.uniform(0.2, 0.7) * (bell, buzz, hiss)[n % 3]
            file.writeframes((loud.clip(-1, 1) * 32767).astype("<i2").tobytes())
        rows.append({"sound": place.relative_to(folder).as_posix(), "words": f"a {kind} of {pitch:.0f} hertz"})
    _table(folder / "sounds.csv", rows, ("sound", "words"))


def _plays(path: Path) -> None:
    """What 120 listeners played: walks over two rings of songs, one of even and one of odd numbers."""
    rng = np.random.default_rng(4)
    with path.open("w", encoding="utf8") as file:
        for listener in range(120):
            steps = rng.integers(1, 3, rng.integers(6, 13)).cumsum()
            start = 2 * int(rng.integers(20)) + listener % 2
            songs = [f"song{(start + 2 * int(step)) % 40:02}" for step in steps]
            file.write(json.dumps({"id": f"listener{listener}", "history": songs}) + "\n")


def _videos(folder: Path) -> None:
    """clips/KIND/N.gif, 60 videos of a ball that falls, rolls or rises; clips.csv names them, with words."""
    rng, side = np.random.default_rng(3), 24
    rows = []
    for n in range(ROWS // 2):
        kind, colour = ("falls", "rolls", "rises")[n % 3], list(COLOURS)[int(rng.integers(len(COLOURS)))]
        x, y, speed, ground = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(1, 2), int(rng.integers(225, 256))
        step = {"falls": (0, speed), "rolls": (speed, 0), "rises": (0, -speed)}[kind]
        frames = []
        for t in range(int(rng.integers(10, 15))):
            frame = Image.new("RGB", (side, side), (ground,) * 3)
            left, top = (int(a + t * b) % (side + 8) - 8 for a, b in zip((x, y), step, strict=True))
            ImageDraw.Draw(frame).ellipse((left, top, left + 8, top + 8), COLOURS[colour])
            frames.append(frame)
        place = folder / "clips" / kind / f"{n}.gif"
        place.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(place, save_all=True, append_images=frames[1:], duration=80, loop=0)
        rows.append({"clip": place.relative_to(folder).as_posix(), "words": f"a {colour} ball that {kind}"})
    _table(folder / "clips.csv", rows, ("clip", "words"))


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    place.mkdir(parents=True, exist_ok=True)
    make(place)
    print(f"wrote clothes/, pairs.csv, waves.npz ... into {place}")
