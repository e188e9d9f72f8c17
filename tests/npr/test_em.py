"""E-step, M-step and their repetition against loops, by their properties, and as released."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.npr import (
    e_step,
    estimate_prototypes,
    m_step,
    normalise_over_features,
    update_bank,
)
from tests.reference import loops
from tests.reference.released import assert_equal, golden, tensor

CASES = [
    "typical", "paper_stage0", "paper_stage1", "wide", "m_lt_q", "all_equal", "zeros", "large",
    "single_token", "single_proto", "clusters", "tiny_scale",
]  # fmt: skip


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("n", "k", "d", "iterations"), [(7, 3, 5, 1), (4, 6, 3, 4), (12, 4, 8, 10), (6, 5, 40, 7)]
)
def test_em_equals_loops(n, k, d, iterations):
    source, start = draw(1, 2, n, d), draw(2, k, d)
    estimate = estimate_prototypes(source, start, iterations=iterations)
    for image in range(2):
        prototypes, share = loops.em(source[image].numpy(), start.numpy(), iterations)
        np.testing.assert_allclose(estimate.prototypes[image], prototypes, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(estimate.responsibility[image], share, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5), st.floats(0.01, 20))
def test_shares_sum_to_one_and_prototypes_are_unit(n, k, d, length):
    estimate = estimate_prototypes(length * draw(n, 1, n, d), draw(k, k, d), iterations=3)
    torch.testing.assert_close(
        estimate.responsibility.sum(dim=1), torch.ones(1, n, dtype=torch.float64)
    )
    assert (estimate.prototypes.norm(dim=2) <= 1).all()


def test_m_step_without_norm_is_the_weighted_mean():
    source, share = draw(3, 1, 6, 4), draw(4, 1, 3, 6).softmax(dim=1)
    means = m_step(source, share, unit_norm=False)
    expected = torch.stack(
        [(share[0, i, :, None] * source[0]).sum(0) / share[0, i].sum() for i in range(3)]
    )
    torch.testing.assert_close(means[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("width", [4, 30])
def test_masked_features_change_nothing(width):
    source, start = draw(5, 2, 6, width), draw(6, 3, width)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    estimate = estimate_prototypes(source, start, iterations=5, mask=mask)
    short = estimate_prototypes(source[:, :4], start, iterations=5)
    torch.testing.assert_close(estimate.prototypes, short.prototypes)
    assert estimate.responsibility[:, :, 4:].eq(0).all()


def test_order_of_features_does_not_matter():
    source, start = draw(7, 1, 8, 4), draw(8, 3, 4)
    order = torch.randperm(8)
    there = estimate_prototypes(source, start, iterations=6).prototypes
    back = estimate_prototypes(source[:, order], start, iterations=6).prototypes
    torch.testing.assert_close(there, back)


def test_no_gradient_flows_through_the_estimate():
    source = draw(9, 1, 5, 4).requires_grad_()
    estimate = estimate_prototypes(source, draw(10, 2, 4).requires_grad_(), iterations=2)
    assert not estimate.prototypes.requires_grad
    assert not estimate.reconstruct().requires_grad


def test_half_precision_features_are_clustered_in_float32():
    estimate = estimate_prototypes(draw(1, 1, 6, 4).bfloat16(), draw(2, 3, 4), iterations=2)
    assert estimate.prototypes.dtype == torch.float32


def test_bank_moves_by_momentum():
    moved = update_bank(torch.ones(2, 3), torch.zeros(2, 3), momentum=0.9)
    torch.testing.assert_close(moved, torch.full((2, 3), 0.9))


@golden
@pytest.mark.parametrize("case", CASES)
def test_em_equals_released(case):
    def number(key):
        return tensor("npr_standalone.npz", f"npr/{case}/{key}")

    source, bank = number("x"), number("mu0")[0]
    prototypes = bank.expand(len(source), -1, -1)
    iterates = []
    for _ in range(10):
        prototypes = m_step(source, e_step(source, prototypes))
        iterates.append(prototypes)
    theirs = number("mu_iter")  # all ten, or the first and the last where they are large
    ours = iterates if len(theirs) == 10 else [iterates[0], iterates[-1]]
    assert_equal(torch.stack(ours), theirs, case)
    estimate = estimate_prototypes(source, bank, iterations=10)
    assert_equal(estimate.prototypes, number("mu"), case)
    assert_equal(estimate.reconstruct(), number("recon"), case)
    after = normalise_over_features(e_step(source, estimate.prototypes))
    assert_equal(after, number("attn_map")[:, 0], case)
    moved = update_bank(bank, estimate.prototypes.mean(dim=0), momentum=0.9)
    assert_equal(moved, number("mu0_after_momentum")[0], case)


@golden
@pytest.mark.parametrize("case", ["text_a", "text_paper", "text_equal"])
def test_text_channels_equal_released(case):
    def number(key):
        return tensor("npr_standalone.npz", f"tnpr/{case}/{key}")

    bank = number("mu0")[0]
    estimate = estimate_prototypes(number("x")[..., None], bank, iterations=10, norm_dim=1)
    assert_equal(estimate.prototypes, number("mu"), case)
    moved = update_bank(bank, estimate.prototypes.mean(dim=0), momentum=0.9)
    assert_equal(moved, number("mu0_after")[0], case)
