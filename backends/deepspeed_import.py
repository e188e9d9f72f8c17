"""DeepSpeed imported without a word on standard output, which belongs to the commands."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import torch


@contextmanager
def importing_deepspeed() -> Iterator[None]:
    """Import DeepSpeed inside: its log goes to standard error from then on.

    It logs to what standard output is while it is imported, and without a GPU says there that it
    found none, unless it is told where to compute.
    """
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    with redirect_stdout(sys.stderr):
        yield
