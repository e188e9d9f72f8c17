"""Training and inference on a CUDA device: images/s, share of its bf16 matrix peak, memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from pgseg_core.comm import LocalCollectives
from pgseg_core.data.batch import Batch
from pgseg_core.networks.grouping import build_model
from pgseg_core.train.optim import make_optimizer
from pgseg_core.train.task import TrainTask
from tests.benchmarks.work import paper, training_batch

SIZES = (256, 512, 1024)
PEAK_TFLOPS = {"A100": 312, "H100": 989, "H200": 989, "L40S": 362, "L4": 121, "4090": 165}
"""Dense bf16 products with float32 sums, from the makers' data sheets."""
HEAD = (
    "| what | batch | images/s | TFLOP/s | share of peak | peak memory, GB |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Speed:
    """One program at one batch size."""

    what: str
    size: int
    seconds: float
    flops: float
    memory: int

    def row(self, peak: float | None) -> str:
        """Return a line of the table."""
        rate = self.flops / self.seconds / 1e12
        share = f"{rate / peak:.0%}" if peak else "peak unknown"
        return (
            f"| {self.what} | {self.size} | {self.size / self.seconds:.0f} | {rate:.1f} | {share} "
            f"| {self.memory / 1e9:.1f} |"
        )


def peak_tflops(name: str) -> float | None:
    """Return a device's bf16 peak by its name; None where it is not listed."""
    return next((value for part, value in PEAK_TFLOPS.items() if part in name), None)


def measure(what: str, size: int, run: Callable[[], object], *, turns: int = 10) -> Speed:
    """Time a program whose kernels run behind the host."""
    with FlopCounterMode(display=False) as counter:
        run()
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    for _ in range(turns):
        run()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - begun) / turns
    return Speed(what, size, seconds, counter.get_total_flops(), torch.cuda.max_memory_allocated())


def our_step(preset: str, batch: Batch, *, compiled: bool = False) -> Callable[[], object]:
    """A training step in bf16."""
    config = paper(preset)
    model = build_model(config.model).cuda().train()
    model.set_blocks(recompute=False, compiled=compiled)
    task, optimizer = TrainTask(model, LocalCollectives()), make_optimizer(model, config.train)
    parameters = list(model.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            output = task(batch)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        model.move_banks(output.bank_means)

    return step


def their_step(batch: Batch) -> Callable[[], object]:
    """transformers' GroupViT, in bf16 too."""
    from transformers import GroupViTConfig, GroupViTModel

    model = GroupViTModel(GroupViTConfig()).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    parameters, mask = list(model.parameters()), (batch.tokens > 0).long()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(batch.tokens, batch.images, mask, return_loss=True).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def encoder(size: int) -> Callable[[], object]:
    """The image encoder at test, windows of 448."""
    model = build_model(paper("pgseg-vits16").model).cuda().eval()
    images = torch.randn(size, 3, 448, 448, device="cuda")

    @torch.inference_mode()
    @torch.autocast("cuda", torch.bfloat16)
    def run() -> object:
        return model.encode_image(images)

    return run


def speeds() -> list[str]:
    """Measure everything that fits; what does not is a line of its own."""
    device = torch.cuda.get_device_name()
    lines = [f"{device}, torch {torch.__version__}, bf16", "", *HEAD]
    peak = peak_tflops(device)
    for size in SIZES:
        batch = training_batch(size).to(torch.device("cuda"))
        programs: dict[str, Callable[[], Callable[[], object]]] = {
            "train pgseg-vits16": lambda b=batch: our_step("pgseg-vits16", b),
            "train pgseg-vits16, compiled": lambda b=batch: our_step(
                "pgseg-vits16", b, compiled=True
            ),
            "train groupvit-vits16": lambda b=batch: our_step("groupvit-vits16", b),
            "train transformers GroupViT": lambda b=batch: their_step(b),
            "encode 448 x 448": lambda n=size: encoder(n),
        }
        for what, make in programs.items():
            try:
                lines.append(measure(what, size, make()).row(peak))
            except torch.cuda.OutOfMemoryError:
                lines.append(f"| {what} | {size} | out of memory | | | |")
            torch.cuda.empty_cache()
    return lines
