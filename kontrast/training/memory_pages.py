"""Reuse of freed memory between training steps, in large pages."""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

_TRIM, _MMAP = -1, -3  # mallopt's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, malloc.h
# Bytes: what glibc settles at after large blocks were freed, and what keeps all of them (largest int).
USUAL = {_MMAP: 32 << 20, _TRIM: 64 << 20}
KEPT = {_MMAP: 1 << 30, _TRIM: (1 << 31) - 1}
_ROOM, _LARGE, _HUGEPAGE = (1 << 30) - (1 << 21), 1 << 21, 14  # madvise's MADV_HUGEPAGE, mman.h


@contextlib.contextmanager
def kept_pages() -> Iterator[None]:
    """Keeps freed blocks of up to 1 GB in the process until the context ends.

    glibc returns large blocks to the system, which fills them with zeros page by page when the next step requests them
    again: 4,000 pages per step of the default image network. The setting affects the whole process, so only runs use
    it,
    not losses and methods called in a user's own loop. Without glibc it does nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for name, value in KEPT.items():
        libc.mallopt(name, value)
    _enlarge(libc)
    try:
        yield
    finally:
        for name, value in USUAL.items():
            libc.mallopt(name, value)
        libc.malloc_trim(0)


def _enlarge(libc: ctypes.CDLL) -> None:
    """Requests 2 MB pages for the next GB of the heap, if available.

    Allocates a block of that size, marks it, and frees it before use. A block beyond the address space is skipped.
    """
    libc.malloc.restype = ctypes.c_void_p
    block = libc.malloc(ctypes.c_size_t(_ROOM))
    if block:
        start = -(-block // _LARGE) * _LARGE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(block + _ROOM - start), _HUGEPAGE)
        libc.free(ctypes.c_void_p(block))
