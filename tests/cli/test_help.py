"""Help: answered for every command, without importing anything heavy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgseg_cli.lazy import load_command
from pgseg_cli.main import COMMANDS as PROGRAM
from pgseg_core.config import load_config, preset_names

COMMANDS = [
    [], ["data"], ["data", "prepare"], ["data", "scenes"],
    ["data", "merge"], ["data", "verify"], ["data", "stats"], ["train"], ["segment"],
    ["explain"], ["models"], ["eval"], ["eval", "compare"], ["viz"], ["viz", "prototypes"],
    ["viz", "groups"], ["viz", "embedding"], ["viz", "richness"], ["viz", "compare"],
    ["viz", "training"], ["viz", "attention"], ["serve"],
    ["convert"], ["export"], ["export", "onnx"], ["backends"], ["doctor"], ["sweep"], ["bench"],
]  # fmt: skip
HEAVY = ("torch", "torchvision", "open_clip", "webdataset", "scipy", "PIL", "numpy", "matplotlib")
ROOT = Path(__file__).parents[2]


def test_the_core_gives_its_segmenter_without_loading_torch_before():
    program = "import sys, pgseg_core; assert 'torch' not in sys.modules; pgseg_core.Segmenter.load"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_segmenting_loads_what_it_needs_alone():
    """What other commands need would be a third of its start."""
    program = """
import sys, pgseg_core.results.job, pgseg_core.inference.segmenter, pgseg_core.methods.exported
from pgseg_core.viz.typeface import typeface
typeface(12, "sky 3%")
loaded = {
    *("matplotlib", "fontTools", "jinja2", "scipy.optimize", "scipy.sparse", "webdataset"),
    *("pgseg_core.photos.fetch",),
} & set(sys.modules)
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


def test_a_list_of_commands_loads_none_of_them():
    program = """
import sys
from pgseg_cli.main import run
try:
    run()
except SystemExit as end:
    assert end.code == 0
loaded = [name for name in sys.modules if name.startswith("pgseg_cli.commands")]
assert not loaded, loaded
assert "rich" not in sys.modules
"""
    for arguments in (["--help"], ["-h"]):
        subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("name", PROGRAM)
def test_what_the_list_says_is_the_commands_own_help(name):
    command = load_command(name, PROGRAM[name])
    assert " ".join(command.help.split("\n\n")[0].split()) == PROGRAM[name].summary


def test_an_unknown_command_is_told_the_nearest(pgseg):
    refused = pgseg("segmnt photo.jpg")
    assert refused.code == 2
    assert "No such command 'segmnt'. Did you mean 'segment'?" in refused.words
    assert "Did you mean 'prepare'?" in pgseg("data prepar").words


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("pgseg s", ["segment", "serve", "sweep"]),
        ("pgseg viz at", ["attention"]),
        ("pgseg segment --eng", ["--engine"]),
        ("pgseg segment a.jpg --engine o", ["onnx"]),
    ],
)
def test_the_shell_completes_commands_and_options(words, completed):
    settings = {
        "_PGSEG_COMPLETE": "complete_bash", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    program = Path(sys.executable).with_name("pgseg")
    done = subprocess.run(
        [program], env={**os.environ, **settings}, check=False, capture_output=True, text=True
    )
    assert done.stdout.split() == completed


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
