"""One file per table of `benchmarks/reproduce.py`."""
