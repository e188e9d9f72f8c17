"""What the maths may ask of other processes, as an argument.

Losses, batch statistics, prototype banks and metrics take a `Collectives`. A world of one is not
a special case: `LocalCollectives` answers the same questions. The real process groups live in
`backends`.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Collectives(Protocol):
    """The collective operations of one group of ranks."""

    @property
    def rank(self) -> int:
        """This process's number, from 0 to `world_size` - 1."""
        ...

    @property
    def world_size(self) -> int:
        """How many processes take part."""
        ...

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Concatenate every rank's (b, ...) along the first axis: (world_size * b, ...).

        Differentiable: the gradient of each rank's slice is summed over ranks and returned to it.
        """
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, element by element. Differentiable."""
        ...

    def mean(self, tensor: Tensor) -> Tensor:
        """Average over ranks, element by element. Differentiable."""
        ...

    def barrier(self) -> None:
        """Wait until every rank is here."""
        ...


class LocalCollectives:
    """A world of one process."""

    rank = 0
    world_size = 1

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself: it already is the whole batch."""
        return tensor

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself."""
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself."""
        return tensor

    def barrier(self) -> None:
        """Return at once."""
