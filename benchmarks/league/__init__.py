"""kontrast's defaults beside the specialised tool of each kind of data, at equal processor time on one core.

    python -m benchmarks.league --data FOLDER --out /tmp/league-cells

One cell is one contestant on one set with one seed. It runs in a process of its own and leaves a JSON file in --out, so
a league that was interrupted goes on where it stopped, and one contestant can be run again by removing its files.

`sets/` holds one file per family of data, `contestants/` one per rival; both are found by walking the folder.
"""
