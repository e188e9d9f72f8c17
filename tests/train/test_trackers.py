"""Curves beside the log, in packages that may be missing."""

import sys
from types import SimpleNamespace

import pytest

from pgseg_core.errors import ConfigError
from pgseg_core.train.trackers import check_trackers, open_trackers
from tests.tiny import tiny_config


@pytest.mark.parametrize("package", ["wandb", "trackio"])
def test_a_hosted_tracker_gets_every_number_and_is_closed(tmp_path, monkeypatch, package):
    calls = []
    module = SimpleNamespace(
        init=lambda **options: calls.append(("init", options)),
        log=lambda values, step: calls.append(("log", values, step)),
        finish=lambda: calls.append(("finish",)),
    )
    monkeypatch.setitem(sys.modules, package, module)
    config = tiny_config(train={"trackers": [package]})
    with open_trackers(config, tmp_path / "a", leads=True) as trackers:
        trackers[0].log({"loss": 1.5}, 10)
    assert [call[0] for call in calls] == ["init", "log", "finish"]
    assert calls[0][1]["name"] == "a"
    assert calls[0][1]["config"]["train"]["trackers"]
    assert calls[1][1:] == ({"loss": 1.5}, 10)
    with open_trackers(config, tmp_path / "a", leads=False) as trackers:
        assert trackers == []


def test_one_that_is_missing_is_named_before_the_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="names wandb, which is not installed") as caught:
        check_trackers(["tensorboard", "wandb"])
    assert "pip install 'pgseg[wandb]'" in caught.value.hint
