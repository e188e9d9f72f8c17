"""Batch normalisation over ranks, against torch's own on all their rows."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.networks.blocks.batch_norm import BatchNorm
from pgseg_core.networks.blocks.layers import Projector

RANKS, ROWS, CHANNELS = 3, 5, 4


class ThreadRanks(LocalCollectives):
    """One rank of threads that exchange tensors, without gradients."""

    world_size = RANKS

    def __init__(self, rank, board, meeting):
        self.rank, self.board, self.meeting = rank, board, meeting

    def mean(self, tensor):
        self.board[self.rank] = tensor.detach()
        self.meeting.wait(30)
        mean = torch.stack(self.board).mean(dim=0)
        self.meeting.wait(30)
        return mean


class Twins(LocalCollectives):
    """Ranks that all have the same rows."""

    world_size = 2


def normaliser():
    norm = BatchNorm(CHANNELS).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, CHANNELS))
        norm.bias.copy_(torch.linspace(0.5, -0.5, CHANNELS))
    return norm


def run(norm, rows, wanted):
    rows = rows.clone().requires_grad_()
    normal = norm(rows)
    normal.backward(wanted)
    return normal.detach(), rows.grad, norm


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    rows, wanted = torch.randn(2, RANKS, ROWS, CHANNELS, generator=generator, dtype=torch.float64)
    return 3 * rows + torch.arange(RANKS)[:, None, None], wanted


def test_ranks_normalise_as_one_process_would(batch):
    rows, wanted = batch
    normal, for_rows, whole = run(normaliser(), rows.flatten(0, 1), wanted.flatten(0, 1))
    board, meeting = [None] * RANKS, threading.Barrier(RANKS)

    def rank(number):
        norm = normaliser()
        norm.comm = ThreadRanks(number, board, meeting)
        return run(norm, rows[number], wanted[number])

    with ThreadPoolExecutor(RANKS) as pool:
        found = list(pool.map(rank, range(RANKS)))
    torch.testing.assert_close(torch.cat([part[0] for part in found]), normal)
    torch.testing.assert_close(torch.cat([part[1] for part in found]), for_rows)
    for name, parameter in whole.named_parameters():  # of which each rank has its rows' share
        shares = sum(part[2].get_parameter(name).grad for part in found)
        torch.testing.assert_close(shares, parameter.grad)
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(found[0][2].get_buffer(name), buffer)


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_half_stays_half_and_its_moments_are_exact(batch, weights):
    """A thousand away from zero, where a mean in bfloat16 would be off by a spread."""
    norm = normaliser().to(weights)
    norm.comm = Twins()
    rows = (batch[0].flatten(0, 1) + 1000).bfloat16()
    normal, for_rows, _ = run(norm, rows, torch.ones_like(rows))
    assert normal.dtype == for_rows.dtype == torch.bfloat16
    expected = normaliser()(rows.double())
    torch.testing.assert_close(normal.double(), expected, rtol=2**-7, atol=2**-7)


def test_rows_are_all_that_is_kept(batch):
    norm = normaliser()
    norm.comm = Twins()
    rows = batch[0][0].clone().requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        norm(rows)
    assert [t.data_ptr() for t in kept if t.shape == rows.shape] == [rows.data_ptr()]


def test_a_projector_changes_no_view_in_place():
    """Else the gradient of its hidden layer is copied whole, five times."""
    projected = Projector(CHANNELS, 6, CHANNELS)(torch.randn(2, 3, CHANNELS, requires_grad=True))
    names, left = set(), [projected.grad_fn]
    while left:
        node = left.pop()
        names.add(node.name())
        left += [after for after, _ in node.next_functions if after is not None]
    assert "NativeBatchNormBackward0" in names
    assert "CopySlices" not in names
