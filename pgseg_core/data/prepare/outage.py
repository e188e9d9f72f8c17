"""A network that fails is told from links that are dead, so that an outage loses no image."""

from collections.abc import Iterator

from pgseg_core.data.prepare.download import UNANSWERED
from pgseg_core.data.prepare.samples import Decision, Rejected
from pgseg_core.errors import DataError

MOST_UNANSWERED = 500
"""Links in a row that nobody answers before it is the network's fault. Of the worst published
lists, a quarter still answers."""


def while_online(decisions: Iterator[Decision]) -> Iterator[Decision]:
    """Hand decisions on, those about unanswered links only once a later one shows life.

    Raises:
        DataError: `MOST_UNANSWERED` links in a row gave no answer. None of them has been handed on:
            the next run asks for them again.
    """
    held: list[Rejected] = []
    for decision in decisions:
        if isinstance(decision, Rejected) and decision.reason in UNANSWERED:
            held.append(decision)
            if len(held) >= MOST_UNANSWERED:
                raise DataError(
                    f"the network is down: the last {len(held)} links gave no answer, such as "
                    f"{held[-1].name} ({held[-1].reason})",
                    hint="Run the same command again once it is back: it asks for them again.",
                )
        else:
            yield from held
            held.clear()
            yield decision
    yield from held
