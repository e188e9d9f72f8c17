"""One rank of `test_agreement`: what each engine does where a number overflows on one rank alone.

    python -m tests.backends.agree FOLDER

writes FOLDER/rank-R.json. One process group serves all engines.
"""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from pgseg_backends.conformance import trial_batch, trial_config
from pgseg_backends.ddp import DdpBackend
from pgseg_core.errors import TrainingError
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.schedule import Schedule
from pgseg_core.train.task import TrainTask


def main(folder: Path) -> None:
    """Run every engine twice: in fp16 with a scale that overflows, and on a batch with a NaN."""
    torch.set_num_threads(1)
    group = DdpBackend().open(trial_config().train).group
    found = {}
    engines = {"ddp": None}
    if importlib.util.find_spec("deepspeed") is not None:
        engines |= {"zero0": 0, "zero2": 2, "zero3": 3}
    for name, stage in engines.items():
        file = folder / f"{name}-{group.world.rank}.json"
        file.write_text(json.dumps({"zero_optimization": {"stage": stage or 0}}))
        config = trial_config(precision="fp16", deepspeed=str(file), clip=0.01, log_every=1)
        task = TrainTask(build_model(config.model, comm=group.comm, seed=3), group.comm)
        schedule = Schedule(steps=9, warmup=0, lr=1e-4, min_lr=1e-4, warmup_lr=1e-4)
        engine = _session(name, group).wrap(task, config.train, schedule)
        engine.scale.value = 2.0**140  # beyond float32 in the backward pass
        before = _sum(engine)
        reports = [engine.step([_share(0, group)], 0)]
        untouched = _sum(engine) == before
        engine.scale.value = 16.0
        reports.append(engine.step([_share(1, group)], 1))
        poisoned = _share(2, group)
        if group.world.rank == 1:
            poisoned = replace(poisoned, images=poisoned.images * torch.nan)
        try:
            engine.step([poisoned], 2)
            error = ""
        except TrainingError as raised:
            error = raised.message
        found[name] = {
            "skipped": [report.skipped for report in reports],
            "scales": [report.loss_scale for report in reports],
            "norm": reports[1].grad_norm,
            "loss": reports[1].loss,
            "untouched": untouched,
            "moved": _sum(engine) != before,
            "scale_kept": engine.scale.state(),
            "error": error,
        }
    (folder / f"rank-{group.world.rank}.json").write_text(json.dumps(found))
    group.comm.barrier()
    group.close()


def _session(name: str, group):
    if name == "ddp":
        from pgseg_backends.ddp import DdpSession

        return DdpSession(group)
    from pgseg_backends.deepspeed import DeepSpeedSession

    return DeepSpeedSession(group)


def _share(step: int, group):
    return trial_batch(step).split(group.world.size)[group.world.rank]


def _sum(engine) -> list[float]:
    weights = engine.weights()
    kept = {} if weights is None else weights
    return [
        float(w.double().sum()) for n, w in kept.items() if "running" not in n and "num" not in n
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
