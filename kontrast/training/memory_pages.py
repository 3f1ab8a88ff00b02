"""The memory of a training process: what a step frees is kept for the next one, in large pages."""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

_TRIM, _MMAP = -1, -3  # mallopt's names for them, malloc.h
# Bytes: what glibc arrives at by itself once large blocks were freed, and what keeps all of them (an int is the limit).
_USUAL = {_MMAP: 32 << 20, _TRIM: 64 << 20}
_KEPT = {_MMAP: 1 << 30, _TRIM: (1 << 31) - 1}
_ROOM, _LARGE, _HUGEPAGE = (1 << 30) - (1 << 21), 1 << 21, 14  # madvise's name for it, mman.h


@contextlib.contextmanager
def kept_pages() -> Iterator[None]:
    """Blocks up to 1 GB that are freed stay with the process to the end of the context, when all are given back.

    glibc hands large blocks back to the system, which fills them with zeros, page after page, when the next step asks
    for them again: 4,000 pages in a step of the default image network. A setting of the process: runs alone use it, not
    the losses and methods one calls in one's own loop. Without glibc, nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for name, value in _KEPT.items():
        libc.mallopt(name, value)
    _enlarge(libc)
    try:
        yield
    finally:
        for name, value in _USUAL.items():
            libc.mallopt(name, value)
        libc.malloc_trim(0)


def _enlarge(libc: ctypes.CDLL) -> None:
    """The next GB of the heap in pages of 2 MB, where the system has such: a block as large, marked and freed before
    anything lies in it. What does not fit into the address space is left as it is.
    """
    libc.malloc.restype = ctypes.c_void_p
    block = libc.malloc(ctypes.c_size_t(_ROOM))
    if block:
        start = -(-block // _LARGE) * _LARGE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(block + _ROOM - start), _HUGEPAGE)
        libc.free(ctypes.c_void_p(block))
