"""How the C library hands out memory: a program that makes the same large tensors in every step."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks for the next step; nothing happens where there is no glibc.

    By default, large blocks go back to the kernel at once and come again as new pages, cleared one
    by one. It holds for the whole process, so programs call it and libraries do not.
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
