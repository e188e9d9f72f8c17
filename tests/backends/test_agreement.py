"""What overflows or breaks on one rank is seen by all, in every engine, and counted alike."""

import json
import math

import pytest

from pgseg_backends.launch import start_ranks
from pgseg_backends.loss_scale import LossScale
from pgseg_core.errors import TrainingError

pytestmark = pytest.mark.dist


def test_overflow_and_nan_on_one_rank_are_agreed_on(tmp_path):
    start_ranks(["-m", "tests.backends.agree", str(tmp_path)], 2)
    ranks = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
    assert "ddp" in ranks[0]
    for name, first in ranks[0].items():
        second = ranks[1][name]
        assert first["skipped"] == second["skipped"] == [True, False], name
        assert first["scales"] == second["scales"] == [2.0**140, 16.0], name
        assert first["norm"] == second["norm"], name
        assert math.isfinite(first["norm"]), name
        assert first["loss"] == pytest.approx(ranks[0]["ddp"]["loss"], rel=1e-3), name
        assert first["norm"] == pytest.approx(ranks[0]["ddp"]["norm"], rel=1e-2), name
        assert first["untouched"], "a skipped step leaves the weights alone"
        assert first["moved"], name
        assert first["scale_kept"] == {"scale": 16.0, "good_steps": 1}, name
        for rank in (first, second):
            assert "step 2: loss nan" in rank["error"], name


def test_the_scale_doubles_after_a_while_and_gives_up_at_one():
    scale = LossScale(enabled=True)
    assert scale.update(math.inf)
    assert scale.value == 2.0**15
    for _ in range(2000):
        assert not scale.update(1.0)
    assert scale.value == 2.0**16
    other = LossScale(enabled=True)
    other.load(scale.state())
    assert other == scale
    scale.value = 1.0
    with pytest.raises(TrainingError, match="gradients overflow in fp16 at a loss scale of 1"):
        scale.update(math.nan)
    assert not LossScale(enabled=False).update(math.inf)
