"""What is compared with what, and what we want to see."""

from dataclasses import dataclass

from tests.benchmarks.turns import Program

_HERE = "tests.benchmarks"


@dataclass(frozen=True)
class Case:
    """Ours first, then whom it is compared with."""

    section: str
    what: str
    ours: Program
    peers: tuple[Program, ...]
    goals: dict[str, str]
    """By peer: the least ratio, or the most for costs of ours that a peer has less of."""
    turns: int
    memory: bool = False
    """Whether peaks are compared too."""
    threads: int | None = None


def _step(preset: str, size: int, **options: object) -> Program:
    return Program(preset, f"{_HERE}.training:ours", {"preset": preset, "size": size, **options})


def _peers(size: int, *, trimmed: bool) -> tuple[Program, ...]:
    made = [Program("transformers", f"{_HERE}.training:transformers", {"size": size})]
    if trimmed:
        options = {"size": size, "trimmed": True}
        made.append(Program("transformers, trimmed text", made[0].make, options))
    return tuple(made)


def _yardstick(preset: str, size: int) -> Program:
    return Program("yardstick", f"{_HERE}.training:plain", {"preset": preset, "size": size})


def _python(name: str, code: str, *arguments: str) -> Program:
    options = {"code": code, "arguments": arguments}
    return Program(name, f"{_HERE}.startup:python", options)


def _photo(classes: int) -> Program:
    return Program(f"{classes} classes", f"{_HERE}.inference:with_bank", {"classes": classes})


TRAINING = [
    Case(
        "training",
        "step of groupvit-vits16, batch 16",
        _step("groupvit-vits16", 16),
        _peers(16, trimmed=True),
        {"transformers": ">= 1.6"},
        turns=3,
    ),
    Case(
        "training",
        "step of pgseg-vits16, batch 16",
        _step("pgseg-vits16", 16),
        (_step("groupvit-vits16", 16), _yardstick("pgseg-vits16", 16)),
        {"groupvit-vits16": ">= 0.80", "yardstick": "peak >= 1.67"},
        turns=3,
        memory=True,
    ),
    Case(
        "training",
        "step of groupvit-vits16, batch 32",
        _step("groupvit-vits16", 32),
        _peers(32, trimmed=False),
        {"transformers": ">= 1.6"},
        turns=2,
    ),
    Case(
        "training",
        "step of pgseg-vits16, batch 32",
        _step("pgseg-vits16", 32),
        (_step("groupvit-vits16", 32),),
        {"groupvit-vits16": ">= 0.80"},
        turns=2,
    ),
]
PROTOTYPES = [
    Case(
        "npr",
        "EM, matching, loss: 256 x 196 tokens, 64 prototypes, T 10",
        Program("pgseg", f"{_HERE}.prototypes:ours"),
        (Program("yardstick", f"{_HERE}.prototypes:plain"),),
        {"yardstick": ">= 3"},
        turns=5,
    ),
    Case(
        "npr",
        "matching: 256 x 64 x 64",
        Program("pgseg", f"{_HERE}.prototypes:our_matching"),
        (Program("yardstick", f"{_HERE}.prototypes:plain_matching"),),
        {"yardstick": ">= 5"},
        turns=9,
    ),
]
INFERENCE = [
    Case(
        "inference",
        "448 x 448 window, 21 classes with their prompts",
        Program("pgseg-vits16", f"{_HERE}.inference:ours"),
        (
            Program("yardstick", f"{_HERE}.inference:plain"),
            Program("transformers", f"{_HERE}.inference:transformers"),
            Program("transformers, trimmed", f"{_HERE}.inference:transformers", {"trimmed": True}),
        ),
        {"yardstick": ">= 2.5", "transformers": ">= 1.3"},
        turns=5,
    ),
    Case(
        "inference",
        "640 x 480 photo, 500 classes",
        _photo(500),
        (_photo(20),),
        {"20 classes": ">= 0.77"},
        turns=5,
    ),
    Case(
        "inference",
        "folder of photos, read to written",
        Program("folder", f"{_HERE}.inference:folder", {"whole": True}),
        (Program("encoder alone", f"{_HERE}.inference:folder", {"whole": False}),),
        {"encoder alone": ">= 0.85"},
        turns=3,
    ),
]
STARTUP = [
    Case(
        "start",
        "pgseg --help",
        _python("pgseg --help", "from pgseg_cli.main import run; run()", "--help"),
        (_python("import typer, rich", "import typer, rich.console, rich.progress, rich.table"),),
        {"import typer, rich": ">= 0.77"},
        turns=7,
    ),
    Case(
        "start",
        "pgseg segment, start to files",
        Program("pgseg segment", f"{_HERE}.startup:segment"),
        (
            _python("import torch", "import torch"),
            Program("--engine onnx", f"{_HERE}.startup:segment", {"exported": True}),
        ),
        {"import torch": ">= 0.67", "--engine onnx": "1.5 s"},
        turns=7,
    ),
]
CASES = [*STARTUP, *PROTOTYPES, *INFERENCE, *TRAINING]
SECTIONS = tuple(dict.fromkeys(case.section for case in CASES))
