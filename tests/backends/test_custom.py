"""The example of a third party's backend: installed, listed, and put to the conformance kit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE

pytestmark = [pytest.mark.dist, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_the_example_installs_is_listed_and_conforms(tmp_path):
    pytest.importorskip("setuptools")
    source = shutil.copytree(ROOT / "examples" / "custom_backend", tmp_path / "source")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, timeout=PATIENCE)
    paths = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])

    def run(*arguments: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], env={**os.environ, "PYTHONPATH": paths},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("pgseg_cli.main", "backends", "--json")["careful"] == "pgseg_careful:CarefulBackend"
    assert run("pgseg_backends.conformance", "careful", "--nproc", "1")["every_weight"] == 0.0
