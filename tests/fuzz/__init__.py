"""Fuzzing of all that reads: any bytes give a value or a refusal in words, soon and in bounded memory.

`readers.py` feeds each reader, `seeds.py` has small valid files, `change.py` damages them. `test_fuzz.py` runs a few
hundred examples a reader in CI; `python -m tests.fuzz --minutes 10 csv jsonl` runs longer, guided by coverage
(pip install 'kontrast[fuzz]'). `corpus/READER/` holds files that once failed, and is replayed each time.
"""
