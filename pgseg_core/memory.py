"""Settings of a whole process's memory: programs ask for them, and libraries do not.

One is how the C library hands it out, to a program that makes the same large tensors in every step;
the other is where Python looks for garbage, in one that starts, answers and ends.
"""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks for the next step; nothing happens where there is no glibc.

    By default, large blocks go back to the kernel at once and come again as new pages, cleared one
    by one.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_TOP_PAD, 64 * 2**20)


@contextmanager
def kept_for_good() -> Iterator[None]:
    """Look for no garbage inside, and never again in what was made there; for imports and weights.

    torch makes half a million objects that stay. To search them for cycles while they come, and
    once more when the process ends, takes a fifth of all that `import torch` takes.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
