"""A few hundred small scenes, rendered once for all tests of the set."""

import pytest

from pgseg_core.data.scenes import Scene, render_scene


@pytest.fixture(scope="package")
def scenes() -> list[Scene]:
    return [render_scene(0, index, (96, 96)) for index in range(240)]
