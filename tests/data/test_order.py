import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.data.order import MIN_GROUPED_SHARDS, EpochOrder


def places(counts, *, shuffle=10, seed=0, epoch=0):
    order = EpochOrder(counts, shuffle=shuffle, seed=seed, epoch=epoch)
    return [order.place(position) for position in range(len(order))]


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    shuffle=st.integers(1, 200),
    seed=st.integers(0, 10),
    epoch=st.integers(0, 10),
)
def test_every_sample_stands_at_one_position(counts, shuffle, seed, epoch):
    every = {(shard, inside) for shard, count in enumerate(counts) for inside in range(count)}
    planned = places(counts, shuffle=shuffle, seed=seed, epoch=epoch)
    assert len(planned) == len(every)
    assert set(planned) == every


def test_seeds_and_epochs_have_their_own_orders():
    counts = [20] * 10
    orders = [places(counts), places(counts, seed=1), places(counts, epoch=1)]
    assert places(counts) == orders[0]
    assert len({tuple(order) for order in orders}) == 3


def test_neighbours_come_from_many_shards_but_not_from_all():
    counts = [50] * 64
    planned = places(counts, shuffle=100)
    group = MIN_GROUPED_SHARDS * 50
    for start in range(0, len(planned), group):
        assert len({shard for shard, _ in planned[start : start + group]}) == MIN_GROUPED_SHARDS


def test_a_large_shuffle_mixes_everything():
    planned = places([50] * 64, shuffle=10_000)
    first_half = {shard for shard, _ in planned[: len(planned) // 2]}
    assert len(first_half) == 64


@pytest.mark.parametrize("counts", [[40] * 20, [1, 300, 3, 7]])
def test_positions_are_spread_evenly(counts):
    sums = np.zeros(sum(counts))
    starts = np.concatenate([[0], np.cumsum(counts)])
    for epoch in range(60):
        for position, (shard, inside) in enumerate(places(counts, shuffle=300, epoch=epoch)):
            sums[starts[shard] + inside] += position
    means = sums / 60 / sum(counts)
    assert abs(means.mean() - 0.5) < 0.01
    assert means.std() < 0.06
