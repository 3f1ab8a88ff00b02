"""What training frees it keeps, and gives back at its end; in other processes, for it is a setting of a process."""

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kontrast.training import memory_pages

GLIBC = platform.libc_ver()[0] == "glibc"
STEPS = """
import os, resource, torch
from kontrast.training.memory_pages import kept_pages

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [torch.zeros(10_000_000) for _ in range(3)]  # over 32 MB: never kept by itself
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

faults()
usual = faults()
with kept_pages():
    for _ in range(3):
        faults()
    kept, most = faults(), held()
print(usual, kept, most - held())
"""
MARKED = """
import torch
from kontrast.training.memory_pages import kept_pages

with kept_pages():
    within = torch.zeros(10_000_000)
    at, lines = within.data_ptr() + (20 << 20), open("/proc/self/smaps").read().splitlines()
for line in lines:
    first, *rest = line.split()
    if "-" in first:
        low, high = (int(end, 16) for end in first.split("-"))
    if first == "VmFlags:" and low <= at < high:
        print(*rest)
"""

only_glibc = pytest.mark.skipif(not GLIBC, reason="only glibc is told what to keep")


def said(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@only_glibc
def test_freed_blocks_are_kept_and_given_back_at_the_end():
    usual, kept, returned = map(float, said(STEPS))
    assert usual > 100_000, "the system takes large blocks back, else there is nothing to gain"
    assert kept < usual / 4
    assert returned > 100, f"of 120 MB that were freed, {returned} came back"


@only_glibc
@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a system without large pages")
def test_what_is_kept_lies_in_large_pages():
    assert "hg" in said(MARKED)


def test_without_glibc_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("a library was asked"))
    with memory_pages.kept_pages():
        pass


class Full:
    """A libc without room for a GB more; it notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.malloc = lambda size: None

    def mallopt(self, name, value):
        self.asked.append((name, value))

    def malloc_trim(self, pad):
        self.asked.append("trim")


def test_given_back_after_an_error_and_without_room_too(monkeypatch):
    libc = Full()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    with pytest.raises(KeyboardInterrupt), memory_pages.kept_pages():
        raise KeyboardInterrupt
    assert libc.asked == [*memory_pages.KEPT.items(), *memory_pages.USUAL.items(), "trim"]
