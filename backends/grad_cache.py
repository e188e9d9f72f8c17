"""Gradient-cached contrast: a batch as large as wanted, encoded in parts that fit.

Gao et al. 2021: all parts are encoded without gradient, the losses are taken over the whole batch
and give the gradient of every feature; then each part is encoded again and its features' gradients
are carried into the weights. Loss and gradients are those of the whole batch, at the price of a
second forward pass.

BatchNorm inside the encoders knows no parts either (`networks/blocks/batch_norm_parts.py`): with
`train.grad_cache_norm: batch` its statistics are the whole batch's, exactly, for up to two more
passes a layer, most of which end early. With `micro` each part is normalised by itself, as in
plain accumulation. The projectors always see the whole batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pgseg_core.data.batch import Batch
from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.batch_norm_parts import EnoughError, StatisticsTape
from pgseg_core.train.encoded import Encoded, join
from pgseg_core.train.task import TaskOutput, TrainTask


@dataclass(frozen=True)
class Part:
    """A micro-batch on its way through the encoders.

    Attributes:
        batch: The micro-batch.
        asked: Number of the BatchNorm call whose moments are wanted; -1 for none.
        wanted: Gradients of the encoded tensors, to be carried back; None on the way forward.
        again: Whether this batch has passed before in this step.
    """

    batch: Batch
    asked: int = -1
    wanted: Sequence[Tensor | None] | None = None
    again: bool = False


class CachedTask(nn.Module):
    """The task with two entrances, so that an engine can wrap it whole.

    Args:
        task: The task.
        whole_norm: Give BatchNorm the statistics of the whole batch.
        stop_early: End passes where the rest is not needed; not where an engine has hooks on
            modules that must all run.
    """

    def __init__(self, task: TrainTask, *, whole_norm: bool, stop_early: bool) -> None:
        super().__init__()
        self.task = task
        self.tape = StatisticsTape(task.comm, stop_early) if whole_norm else None
        encoders = (task.model.image_encoder, task.model.text_encoder)
        self._norms = [m for e in encoders for m in e.modules() if isinstance(m, BatchNorm)]

    def forward(
        self, given: Part | Encoded, *, measure: bool = False
    ) -> Encoded | TaskOutput | Tensor | None:
        """Compare what was encoded, or take a part through the encoders.

        Returns:
            For `Encoded` the losses. For a part what was encoded (None if the pass ended early), or
            the scalar whose gradient carries on what is wanted of it.
        """
        if isinstance(given, Encoded):
            return self.task(given, measure=measure)
        encoded = self._encode(given)
        if given.wanted is not None:
            assert encoded is not None
            pairs = zip(encoded.differentiable(), given.wanted, strict=True)
            parts = [(ours * theirs).sum() for ours, theirs in pairs if theirs is not None]
            return torch.stack(parts).sum()
        if self.tape is not None and given.asked >= 0 and given.again:
            return self.tape.take_carry()
        return encoded

    def _encode(self, part: Part) -> Encoded | None:
        if self.tape is not None:
            self.tape.start_pass(part.asked)
        for norm in self._norms:
            norm.tape, norm.tracks = self.tape, not part.again
        try:
            return self.task.encode(part.batch)
        except EnoughError:
            return None
        finally:
            for norm in self._norms:
                norm.tape, norm.tracks = None, True


@runtime_checkable
class Run(Protocol):
    """How an engine runs the cached task: precision, and the noise of a part's images."""

    def __call__(self, given: Part | Encoded, part: int, parts: int, **options: Any) -> Any:
        """Call the task for part number `part` of `parts`."""
        ...


@runtime_checkable
class Backward(Protocol):
    """How an engine goes back."""

    def __call__(self, value: Tensor, *, is_loss: bool, last: bool) -> None:
        """Add to the gradients.

        Args:
            value: A scalar.
            is_loss: Whether it is the loss, to be scaled for fp16; else the scale is in it already.
            last: Whether it is the step's last.
        """
        ...


def cached_step(
    cached: CachedTask,
    batches: Sequence[Batch],
    *,
    run: Run,
    backward: Backward,
    measure: bool,
) -> TaskOutput:
    """Take loss and gradients of all batches of a step as one.

    Args:
        cached: The task.
        batches: This rank's share of the step, in parts of equal size.
        run: Calls the task.
        backward: Adds to the gradients.
        measure: Measure each term's gradient.

    Returns:
        The losses of the whole batch.
    """
    tape, parts = cached.tape, len(batches)

    def each(**options: Any) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            yield run(Part(batch, **options), number, parts)

    with torch.no_grad():
        if tape is None:
            encoded = list(each())
        else:
            tape.start_step()
            encoded = list(each(asked=0))
            while tape.learn():  # a layer was found: encode again, up to the next
                encoded = list(each(asked=len(tape.known)))
        whole = join(encoded).as_leaves()
    layers = 0 if tape is None else len(tape.known)
    output: TaskOutput = run(whole, 0, 1, measure=measure)
    backward(output.loss, is_loss=True, last=False)
    gradients = [leaf.grad for leaf in whole.differentiable()]
    pieces = [_pieces(gradient, parts) for gradient in gradients]
    for number, batch in enumerate(batches):
        wanted = [piece[number] for piece in pieces]
        value = run(Part(batch, wanted=wanted, again=True), number, parts)
        backward(value, is_loss=False, last=layers == 0 and number == parts - 1)
    for call in reversed(range(layers)):
        assert tape is not None
        tape.average_gradient(call)
        for number, value in enumerate(each(asked=call, again=True)):
            last = call == 0 and number == parts - 1
            backward(value / parts, is_loss=False, last=last)
    return output


def _pieces(gradient: Tensor | None, parts: int) -> Sequence[Tensor | None]:
    return [None] * parts if gradient is None else gradient.chunk(parts)
