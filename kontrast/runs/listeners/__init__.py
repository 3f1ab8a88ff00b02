"""Listeners that carry a run to other people's trackers: one a file, named with `kontrast train --log NAME`."""
