"""Not a test: a process that has imported all there is and trains in children, which kill or stop themselves at a
named moment, or are killed after some seconds. Asked on standard input, a JSON object a line, it answers likewise.

{"words": what follows `kontrast`, "run": the run folder, "at": a moment or null, "sends": a signal, "after": seconds or
null} -> {"process", "signal" or "code", "said": standard error, "moments": all that came}. {"goes_on": process} lets a
stopped child go on, and waits for it.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import kontrast.api
import kontrast.cli
import kontrast.runs.pipeline.pipeline
from kontrast.core import embedding_table
from kontrast.runs.folder import folder
from kontrast.runs.pipeline import pipeline, results


class Moments:
    """What is about to happen in the run folder, or has just happened, a name each; at one of them a signal is sent."""

    def __init__(self, run, at, sends, log):
        self.run, self.at, self.sends, self.log = Path(run).resolve(), at, sends, log

    def here(self, what, path=None):
        name = what if path is None else f"{what} {self.of(path)}"
        self.log.write(name + "\n")
        self.log.flush()
        if name == self.at:
            self.at = None
            os.kill(os.getpid(), self.sends)

    def of(self, path):
        path = Path(path).resolve()
        inside = path.is_relative_to(self.run)
        name = str(path.relative_to(self.run)) if inside else path.name
        return name.split(".part-")[0]

    def half(self, what, path):
        """The moment in which half of a file is written."""
        if f"half {what}" == self.at:
            os.truncate(path, Path(path).stat().st_size // 2)
        self.here(f"half {what}")

    def listen(self):
        fsync, replace, append = os.fsync, os.replace, folder.Folder.append
        save, write, judge, report = (
            folder.save_file,
            embedding_table.pq.write_table,
            results.evaluate,
            pipeline.Run.report,
        )

        def fsynced(fd):
            self.here("before fsync", os.readlink(f"/proc/self/fd/{fd}"))
            fsync(fd)

        def replaced(source, target, **options):
            self.here("before rename", target)
            replace(source, target, **options)
            self.here("after rename", target)

        def appended(own, name, line):
            append(own, name, line)
            self.here(f"after step {json.loads(line)['step']}")

        def saved(tensors, path, **options):
            save(tensors, path, **options)
            self.half(self.of(path), path)

        def written(table, path, **options):
            write(table, path, **options)
            self.half(self.of(path), path)

        def judged(*words, **options):
            self.here("judging")
            return judge(*words, **options)

        def reported(run):
            self.here("reporting")
            return report(run)

        os.fsync, os.replace, folder.Folder.append = fsynced, replaced, appended
        folder.save_file, embedding_table.pq.write_table, results.evaluate, pipeline.Run.report = (
            saved,
            written,
            judged,
            reported,
        )


def train(asked, told, log, loaded):
    """In the child: run a command, and end with its exit code."""
    screen = os.open(told, os.O_WRONLY | os.O_CREAT)
    os.dup2(screen, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    Moments(asked["run"], asked.get("at"), asked.get("sends") or signal.SIGKILL, log).listen()
    sys.argv = ["kontrast", *asked["words"]]
    try:
        kontrast.cli.main()
    except SystemExit as end:
        sys.stderr.flush()
        if end.code in (None, 0):
            loaded.write_text("\n".join(sys.modules))
        os._exit(int(end.code or 0))
    except BaseException:
        import traceback

        traceback.print_exc()
    os._exit(70)


def waited(process, after):
    """How the child ended, or that it stopped."""
    if after is not None:
        time.sleep(after)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return {"process": process, "signal": os.WSTOPSIG(status)}
    if os.WIFSIGNALED(status):
        return {"process": process, "signal": os.WTERMSIG(status)}
    return {"process": process, "code": os.WEXITSTATUS(status)}


def warm(loaded):
    """Import what a child had to, so that no later one has to: that takes longer than all the rest."""
    for name in loaded.read_text().splitlines() if loaded.exists() else []:
        with contextlib.suppress(ImportError):  # names that some modules only make up
            importlib.import_module(name)
    assert threading.active_count() == 1  # a fork copies the thread that calls it, and no other


def main():
    with tempfile.TemporaryDirectory() as scratch:
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            if "goes_on" in asked:
                os.kill(asked["goes_on"], signal.SIGCONT)
                print(json.dumps(waited(asked["goes_on"], None)), flush=True)
                continue
            told, log, loaded = Path(scratch) / "told", Path(scratch) / "log", Path(scratch) / "loaded"
            told.write_text("")
            warm(loaded)
            with log.open("w") as out:
                process = os.fork()
                if not process:
                    train(asked, told, out, loaded)
            ended = waited(process, asked.get("after"))
            print(json.dumps({**ended, "said": told.read_text(), "moments": log.read_text().splitlines()}), flush=True)


if __name__ == "__main__":
    main()
