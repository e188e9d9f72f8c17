"""A conformance kit: does a backend compute on many ranks what one process computes?

    python -m pgseg_backends.conformance my-backend --nproc 2

trains a tiny model for five steps with the `single` backend and with the named one, on the same
global batches, and compares losses, first gradients and weights.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgseg_backends.launch import report_error, start_ranks
from pgseg_backends.registry import load_backend
from pgseg_backends.step import OPTIMIZER
from pgseg_core.config import Config, TrainConfig, parse_config
from pgseg_core.data.batch import Batch
from pgseg_core.errors import BackendError, PgsegError
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.protocols import Session
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask

STEPS, BATCH = 5, 8
TOLERANCE = 1e-5
_MODEL = {
    "image": {
        "image_size": 32, "patch_size": 8, "width": 32, "num_heads": 2,
        "depths": [1, 1, 1], "num_groups": [6, 4], "drop_path": 0.2,
    },
    "text": {"context_length": 16, "width": 32, "depth": 1, "num_heads": 2, "vocab_size": 600},
    "npr": {"reconstruct_width": 48, "batch_prototypes": 6},
    "joint_width": 24,
    "projector_width": 48,
}  # fmt: skip
_SEED = 3
"""Of the weights: with these float32's rounding stays below the tolerance of the tests, and rejects
no pair that the other side keeps. In float64 any seed does."""
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Difference:
    """Largest differences from one process.

    Attributes:
        loss: Over the steps, relative to the loss.
        grad_norm: Over the steps, relative to the norm.
        gradients: Of the first step, relative to the largest gradient; None if the backend does
            not save AdamW's moments by parameter.
        weights: After the last step, absolute, where the first gradient is above rounding (1e-4 of
            the largest): AdamW's first steps are as long for a gradient that is nothing but
            rounding, and of either sign.
        every_weight: The same for all weights; small in float64 only.
    """

    loss: float
    grad_norm: float
    gradients: float | None
    weights: float
    every_weight: float

    def largest(self) -> float:
        """Return the largest of loss, gradients and weights."""
        return max(self.loss, self.gradients or 0.0, self.weights)


def trial_config(**train: object) -> Config:
    """Return the configuration of the trial; `train` changes its training options."""
    settings = {
        "batch_size": BATCH, "precision": "fp32", "device": "cpu", "lr": 1e-5, "warmup_lr": 1e-5,
        "min_lr": 1e-5, "timeout": 1800, **train,
    }  # fmt: skip
    return parse_config({"model": _MODEL, "train": settings}, origin="conformance")


def trial_batch(step: int, size: int = BATCH) -> Batch:
    """Return a step's global batch: noise, and captions of different lengths."""
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(size, 3, 32, 32, generator=generator)
    tokens = torch.zeros(size, 16, dtype=torch.long)
    for row in range(size):
        words = 3 + row % 5
        tokens[row, :words] = torch.randint(1, 598, (words,), generator=generator)
        tokens[row, 0], tokens[row, words] = 598, 599
    nouns = torch.randint(1, 598, (size, 2, 16), generator=generator)
    return Batch(images=images, tokens=tokens, noun_tokens=nouns)


def run_trial(
    session: Session,
    config: Config,
    folder: Path,
    *,
    start: int = 0,
    stop: int = STEPS,
    double: bool = False,
) -> None:
    """Train as one rank of an open world, and write what came out.

    Args:
        session: Opened by the backend on trial.
        config: From `trial_config`.
        folder: Gets `report.json`, `weights.safetensors`, and the engine's state in `first/` (after
            the first step taken) and `last/`; goes on from `last/` where `start` is not 0.
        start: First step.
        stop: The step after the last.
        double: Compute in float64, to tell rounding from error.
    """
    torch.set_num_threads(1)
    comm = session.comm
    model = build_model(config.model, comm=comm, seed=_SEED)
    if start:
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    task = TrainTask(model.double() if double else model, comm)
    engine = session.wrap(task, config.train, _constant(config.train))
    if start:
        engine.load(folder / "last")
    comm.barrier()
    reports = []
    for step in range(start, stop):
        batch = _share(trial_batch(step), comm.rank, comm.world_size, double)
        reports.append(engine.step(batch.split(config.train.accumulate), step))
        if step == start and step + 1 < stop:
            (folder / "first").mkdir(parents=True, exist_ok=True)
            engine.save(folder / "first")
    (folder / "last").mkdir(parents=True, exist_ok=True)
    engine.save(folder / "last")
    weights = engine.weights()
    if comm.rank == 0 and weights is not None:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save_file(whole, folder / "weights.safetensors")
        listed = json.dumps([asdict(report) for report in reports])
        (folder / "report.json").write_text(listed, "utf-8")
    comm.barrier()


def run_alone(config: Config, folder: Path, *, stop: int = STEPS, double: bool = False) -> None:
    """Run the reference: one process, the whole batch at once."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = replace(config.train, backend="single", accumulate=1, grad_cache=False)
    with closing(load_backend("single").open(whole)) as session:
        run_trial(session, replace(config, train=whole), folder, stop=stop, double=double)


def compare(ours: Path, theirs: Path) -> Difference:
    """Compare two trials' folders."""
    left, right = (json.loads((p / "report.json").read_text("utf-8")) for p in (ours, theirs))
    pairs = list(zip(left, right, strict=True))
    states = [load_file(path / "weights.safetensors") for path in (ours, theirs)]
    if set(states[0]) != set(states[1]):
        raise BackendError("the trials' weights do not have the same names")
    first = load_file(theirs / "first" / OPTIMIZER)
    top = max(
        float(value.abs().max()) for name, value in first.items() if name.endswith("/exp_avg")
    )
    loud = {
        name: first[f"{name}/exp_avg"].abs() > _ROUNDING * top
        if f"{name}/exp_avg" in first
        else torch.ones_like(value, dtype=torch.bool)
        for name, value in states[1].items()
    }
    return Difference(
        loss=max(abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in pairs),
        grad_norm=max(abs(a["grad_norm"] - b["grad_norm"]) / b["grad_norm"] for a, b in pairs),
        gradients=_compare_gradients(ours, first, top),
        weights=max(
            _distance(states[0][name][rows], states[1][name][rows]) for name, rows in loud.items()
        ),
        every_weight=max(_distance(states[0][name], states[1][name]) for name in loud),
    )


def check_backend(
    name: str, folder: Path, *, num_ranks: int = 2, config: Config | None = None, double: bool
) -> Difference:
    """Run a backend on several ranks and one process on the whole batch, and compare.

    Args:
        name: The backend, as registered.
        folder: An empty folder for both trials.
        num_ranks: Processes of the backend on trial; divides 8.
        config: From `trial_config`; its `backend` is replaced.
        double: Compute in float64.

    Raises:
        PgsegError: A rank failed.
    """
    config = config or trial_config()
    run_alone(config, folder / "alone", double=double)
    start_trials(name, {folder / name: config}, num_ranks=num_ranks, double=double)
    return compare(folder / name, folder / "alone")


def start_trials(
    name: str,
    trials: Mapping[Path, Config],
    *,
    num_ranks: int = 2,
    start: int = 0,
    double: bool = False,
) -> None:
    """Start ranks that run several trials one after the other in one world.

    Args:
        name: The backend, as registered.
        trials: Configurations, by the folder of each trial.
        num_ranks: How many ranks.
        start: First step; where it is not 0 the folders hold what came before.
        double: Compute in float64.

    Raises:
        PgsegError: A rank failed.
    """
    for folder, config in trials.items():
        folder.mkdir(parents=True, exist_ok=True)
        values = asdict(replace(config.train, backend=name))
        (folder / "train.json").write_text(json.dumps(values), "utf-8")
    options = ["--start", str(start), *(["--double"] if double else [])]
    places = [part for folder in trials for part in ("--rank-in", str(folder))]
    start_ranks(["-m", "pgseg_backends.conformance", name, *places, *options], num_ranks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial from the command line; 0 if all differences are below 1e-5."""
    parser = argparse.ArgumentParser(
        prog="python -m pgseg_backends.conformance", description=__doc__
    )
    parser.add_argument("backend")
    parser.add_argument("--nproc", type=int, default=2)
    parser.add_argument("--double", action="store_true", help="compute in float64")
    parser.add_argument("--rank-in", type=Path, action="append", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    try:
        if given.rank_in is not None:
            _run_here(given.backend, given.rank_in, start=given.start, double=given.double)
            return 0
        with tempfile.TemporaryDirectory() as folder:
            difference = check_backend(
                given.backend, Path(folder), num_ranks=given.nproc, double=given.double
            )
    except PgsegError as error:
        if not report_error(error):
            sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(json.dumps(asdict(difference)) + "\n")
    return int(difference.largest() > TOLERANCE)


def _run_here(name: str, folders: Sequence[Path], *, start: int, double: bool) -> None:
    """Be one rank of all trials."""
    configs = [
        trial_config(**json.loads((folder / "train.json").read_text("utf-8"))) for folder in folders
    ]
    with closing(load_backend(name).open(configs[0].train)) as session:
        for folder, config in zip(folders, configs, strict=True):
            run_trial(session, config, folder, start=start, double=double)


def _constant(config: TrainConfig) -> Schedule:
    return Schedule(
        steps=STEPS,
        warmup=0,
        lr=config.lr,
        min_lr=config.lr,
        warmup_lr=config.warmup_lr,
        fade=STEPS - 1,
    )


def _share(batch: Batch, rank: int, world_size: int, double: bool) -> Batch:
    own = batch.split(world_size)[rank]
    return replace(own, images=own.images.double()) if double else own


def _compare_gradients(ours: Path, first: dict[str, Tensor], top: float) -> float | None:
    """AdamW's first moment after one step is a tenth of the gradient."""
    if not (ours / "first" / OPTIMIZER).is_file():
        return None
    own = load_file(ours / "first" / OPTIMIZER)
    return max(_distance(own[n], first[n]) for n in first if n.endswith("/exp_avg")) / top


def _distance(left: Tensor, right: Tensor) -> float:
    return float((left.double() - right.double()).abs().max()) if left.numel() else 0.0


if __name__ == "__main__":
    sys.exit(main())
