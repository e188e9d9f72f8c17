"""Runs train on the shards that the data tests prepare, or on a few scenes with masks."""

from pathlib import Path

import pytest

from tests.cli.conftest import pgseg
from tests.data.conftest import prepared

__all__ = ["pgseg", "prepared"]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """48 scenes to train on, and 6 with masks in `eval`."""
    from pgseg_core.data.prepare.synthetic import SceneOptions, prepare_scenes

    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    prepare_scenes(folder, SceneOptions(size=64, train=48, val=4, test=6))
    return folder
