"""What figures read from a pass of the encoder is what the encoder itself computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pgseg_core.figures.probe import Probe, probe
from pgseg_core.figures.richness import measure_richness
from pgseg_core.figures.stages import em_steps, view_stages
from pgseg_core.inference.segmenter import Segmenter
from tests.figures.conftest import make_photo


def test_no_hook_stays_behind(segmenter: Segmenter, seen: Probe) -> None:
    assert not any(module._forward_hooks for module in segmenter.method.network.modules())


def test_the_probe_follows_the_forward_pass(segmenter: Segmenter, seen: Probe) -> None:
    rows, columns = seen.grid
    first, second = seen.stages
    assert len(first.entering) == rows * columns
    torch.testing.assert_close(second.entering, seen.output.stages[0].groups[0])
    for stage in seen.stages:
        scale = stage.stage.grouping.assign.scale
        again = (stage.assign_query @ stage.assign_key.mT * scale).softmax(dim=0)
        torch.testing.assert_close(again, stage.soft)
    torch.testing.assert_close(seen.groups_on_patches(1), seen.output.group_maps()[0])


def test_attention_is_what_the_block_computes(segmenter: Segmenter, seen: Probe) -> None:
    stage = seen.stages[0]
    block = stage.stage.blocks[0]
    tokens = torch.cat([stage.entering, stage.stage.group_tokens[0].detach()])[None]
    normal = block.norm1(tokens)
    value = block.attn.qkv(normal).chunk(3, dim=-1)[2][0]
    weights = stage.blocks[0].weights()
    heads = value.unflatten(1, (weights.shape[0], -1)).movedim(1, 0)
    mixed = (weights @ heads).movedim(0, 1).flatten(1)
    torch.testing.assert_close(block.attn.proj(mixed), block.attn(normal)[0])
    torch.testing.assert_close(
        stage.pre_assign.weights().sum(dim=-1), torch.ones(2, len(stage.queries))
    )


def test_em_ends_where_the_model_does_and_never_loses_likelihood(
    segmenter: Segmenter, seen: Probe
) -> None:
    iterations = segmenter.method.network.config.npr.iterations
    for number, own in enumerate(seen.output.stages):
        steps = list(em_steps(seen, number, iterations))
        assert own.estimate is not None
        responsibility = own.estimate.responsibility[0] @ seen.onto_patches(number)
        expected = responsibility.argmax(dim=0).unflatten(0, seen.grid).numpy()
        np.testing.assert_array_equal(steps[-1].owner, expected)
        gains = np.diff([step.likelihood for step in steps])
        assert (gains > -1e-5).all()
        assert steps[-1].movement <= steps[0].movement


def test_pairs_say_what_the_loss_uses(segmenter: Segmenter, seen: Probe) -> None:
    for view, own in zip(
        view_stages(seen, segmenter.method.network.config.npr), seen.output.stages, strict=True
    ):
        assert view.responsibility is not None
        assert view.matched is not None
        assert view.similarity is not None
        np.testing.assert_allclose(view.responsibility.sum(axis=0), 1, atol=1e-5)
        assert own.estimate is not None
        cosine = F.cosine_similarity(
            own.queries[0], own.estimate.prototypes[0][torch.from_numpy(view.matched)], dim=-1
        )
        np.testing.assert_allclose(view.similarity, cosine.numpy(), atol=1e-5)
        assert sorted(set(view.matched.tolist())) == sorted(view.matched.tolist())


@pytest.mark.parametrize("space", ["assignment", "tokens"])
@pytest.mark.parametrize("number", [0, 1])
def test_richness_by_loops(seen: Probe, number: int, space: str) -> None:
    stage = seen.stages[number]
    pair = (stage.assign_query, stage.assign_key)
    tokens, patches = pair if space == "assignment" else (stage.queries, stage.patches)
    found = measure_richness(seen, number, space=space)
    first = seen.stages[0].soft.argmax(dim=0)
    for place in range(seen.grid[0] * seen.grid[1]):
        entered = place if number == 0 else int(first[place])
        group = int(stage.soft[:, entered].argmax())
        cosine = F.cosine_similarity(tokens[group], patches[entered], dim=0)
        assert found.similarity.ravel()[place] == pytest.approx(float(cosine), abs=1e-5)
        assert found.group_map.ravel()[place] == group


def test_a_photo_that_fills_no_whole_patches(segmenter: Segmenter) -> None:
    odd = probe(segmenter, make_photo(61, 43))
    assert odd.grid[0] * odd.grid[1] == odd.groups_on_patches(0).shape[1]


def test_a_photo_read_in_small_windows_is_seen_as_one_of_them(segmenter: Segmenter) -> None:
    window = segmenter.reading.window
    small = replace(segmenter.reading, short_side=2 * window)
    seen = probe(segmenter.read_as(small), make_photo(90, 60))
    assert min(seen.grid) == window // segmenter.method.patch_size
