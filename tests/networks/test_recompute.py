"""What is computed again has the values that were not kept."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pgseg_core.networks.blocks.layers import Mlp
from pgseg_core.networks.blocks.recompute import linear_of


def kept_bytes(run):
    """Sum the storages that autograd keeps."""
    sizes = {}

    def keep(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(sizes.values())


@pytest.mark.parametrize("half", [False, True])
def test_gradients_are_those_of_what_is_kept(half):
    torch.manual_seed(0)
    first, second, x = nn.Linear(6, 24), nn.Linear(24, 5), torch.randn(3, 7, 6)
    found = []
    for apply in (linear_of, lambda linear, cheap, inside: linear(cheap(inside))):
        own = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            out = apply(second, F.gelu, first(own))
            loss = out.float().square().sum()
        found.append([out, *torch.autograd.grad(loss, [own, *first.parameters(), second.weight])])
    for ours, plain in zip(*found, strict=True):
        assert ours.equal(plain)


def test_the_output_of_gelu_is_not_kept():
    mlp, x = Mlp(8, 32), torch.randn(50, 8, requires_grad=True)
    weights = sum(p.numel() for p in (mlp.fc1.weight, mlp.fc2.weight))
    hidden = 50 * 32
    assert kept_bytes(lambda: mlp(x)) <= 4 * (x.numel() + weights + hidden)
    assert kept_bytes(lambda: mlp.fc2(F.gelu(mlp.fc1(x)))) > 4 * (x.numel() + 2 * hidden)


def test_a_gradient_may_be_asked_for_twice():
    mlp, x = Mlp(4, 8), torch.randn(3, 4, requires_grad=True)
    out = mlp(x).sum()
    once = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert once.equal(torch.autograd.grad(out, x)[0])
