"""Where the research data beside a checkout is; tests that need it skip where it is not."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[1].parent / "shared"


def shared(*parts: str) -> Path:
    """Return a path below `$PGSEG_SHARED` or `../shared`; skip the test if it is not there."""
    path = Path(os.environ.get("PGSEG_SHARED", _BESIDE_THE_CHECKOUT), *parts)
    if not path.exists():
        pytest.skip(f"needs {path} (set PGSEG_SHARED to where the research data is)")
    return path
