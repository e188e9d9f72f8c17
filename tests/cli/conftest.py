"""The program as a user types it, in this process; and a small trained model in a folder."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgseg_cli.main import run


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Standard error on one line, for sentences that the terminal's width may break."""
        return " ".join(self.err.split())


Pgseg = Callable[..., Result]


@pytest.fixture
def pgseg(capsys, monkeypatch) -> Pgseg:
    """Call `pgseg('segment a.jpg -c "sky,road"')`; a list is taken as it is."""

    def call(line: str | list[str]) -> Result:
        arguments = shlex.split(line) if isinstance(line, str) else line
        monkeypatch.setattr(sys, "argv", ["pgseg", *arguments])
        monkeypatch.setenv("COLUMNS", "400")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run()
        captured = capsys.readouterr()
        return Result(end.value.code or 0, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Path:
    """A folder in which `data prepare` and a very short `train` were run, scenes and all."""
    from pgseg_backends.single import SingleBackend
    from pgseg_core.config import load_config
    from pgseg_core.data.prepare.synthetic import SceneOptions, prepare_scenes
    from pgseg_core.train.run import train
    from pgseg_core.train.run_folder import RunFolder

    folder = tmp_path_factory.mktemp("workshop")
    scenes = folder / "data" / "scenes"
    prepare_scenes(scenes, SceneOptions(size=64, train=48, val=4, test=6))
    settings = [
        f"data.shards={scenes}", "data.workers=0", "train.batch_size=16", "train.epochs=1",
        "train.warmup_epochs=0", "train.device=cpu", "train.precision=fp32", "model.image.width=32",
        "model.image.depths=[1,0]", "model.text.width=32", "model.text.depth=1",
        "model.npr.reconstruct_width=32", "model.projector_width=32", "model.joint_width=32",
    ]  # fmt: skip
    config = load_config("pgseg-tiny", settings)
    train(config, SingleBackend(), RunFolder(folder / "runs" / "pgseg-tiny"))
    return folder


@pytest.fixture
def here(workshop, tmp_path, monkeypatch) -> Path:
    """An empty current folder that sees the workshop's data and runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(workshop / "data")
    (tmp_path / "runs").symlink_to(workshop / "runs")
    return tmp_path
