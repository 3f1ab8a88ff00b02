"""The command that shows a run while it trains, or afterwards: watch."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from kontrast.cli.app import RunFolder, app


@app.command()
def watch(
    run: RunFolder,
    once: Annotated[
        bool, typer.Option("--once", help="Print the run as it is now, and end; a pipe gets the same.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks at the folder.")] = 1.0,
) -> None:
    """Show a run live: progress, loss, health, validation scores, messages; ends with the run.

    Reads the run folder alone, from any terminal or machine that sees it, and changes nothing there.
    """
    from rich.console import Console

    from kontrast.reporting.watch_frame import frame
    from kontrast.runs.folder.follow import Follower

    console = Console(file=sys.stdout, highlight=False)
    follower = Follower(Path(run))
    now = follower.look()
    if once or not console.is_terminal:
        console.print(frame(now, console.width if console.is_terminal else 120, 60), end="", soft_wrap=True)
        return
    from rich.live import Live

    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(frame(now, console.width, console.height), refresh=True)
                if now.state in ("finished", "stopped"):
                    return
                time.sleep(every)
                now = follower.look()
    except KeyboardInterrupt:  # the run goes on; only its view ends
        return
