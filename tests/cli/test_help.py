"""Help: answered for every command, without importing anything heavy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgseg_core.config import load_config, preset_names

COMMANDS = [
    [], ["data"], ["data", "prepare"], ["data", "scenes"],
    ["data", "merge"], ["data", "verify"], ["data", "stats"], ["train"], ["segment"],
    ["explain"], ["models"], ["eval"], ["eval", "compare"], ["viz"], ["viz", "prototypes"],
    ["viz", "groups"], ["viz", "embedding"], ["viz", "richness"], ["viz", "compare"],
    ["viz", "training"], ["viz", "attention"], ["serve"],
    ["convert"], ["backends"], ["sweep"], ["bench"],
]  # fmt: skip
HEAVY = ("torch", "torchvision", "open_clip", "webdataset", "scipy", "PIL", "numpy", "matplotlib")
ROOT = Path(__file__).parents[2]


def test_the_core_gives_its_segmenter_without_loading_torch_before():
    program = "import sys, pgseg_core; assert 'torch' not in sys.modules; pgseg_core.Segmenter.load"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_segmenting_loads_what_it_needs_alone():
    """What other commands need would be a third of its start."""
    program = """
import sys, pgseg_core.results.job, pgseg_core.inference.segmenter
loaded = {"matplotlib", "jinja2", "scipy.optimize", "scipy.sparse", "webdataset"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_help_imports_nothing_heavy():
    """All helps in one fresh interpreter; what is loaded afterwards is what they needed."""
    program = f"""
import sys
from pgseg_cli.main import run
for command in {COMMANDS!r}:
    sys.argv = ["pgseg", *command, "--help"]
    try:
        run()
    except SystemExit as end:
        assert end.code in (0, None), (command, end.code)
print("HEAVY", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_is_explained(pgseg, command):
    result = pgseg([*command, "--help"])
    assert result.code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.out)
    options = re.split(r"\n  (?=-)", text[text.index("Options:") :])[1:]
    assert options
    for option in options:
        names, _, explained = option.replace("\n", "  ").partition("  ")
        assert re.search(r"[a-z]{3}", explained), f"{names} has no help"


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_loads(preset):
    assert load_config(preset).train.backend == "single"


def test_the_installed_program_runs_in_an_empty_folder(tmp_path):
    """The entry point itself, as a user types it."""
    program = Path(sys.executable).with_name("pgseg")
    done = subprocess.run(
        [program, "segment", "photo.jpg", "-c", "sky"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"},
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert "photo.jpg: no such image or folder" in done.stderr
    assert "Traceback" not in done.stderr
