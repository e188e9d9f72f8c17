"""ds.json: filled from our configuration; what contradicts it is one sentence."""

import json
from pathlib import Path

import pytest

from pgseg_backends.conformance import trial_config
from pgseg_backends.ds_config import precision_of, read_ds_config
from pgseg_backends.registry import check_settings
from pgseg_core.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples" / "deepspeed"


def settings(folder, values, **train):
    path = folder / "ds.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return trial_config(deepspeed=str(path), **train).train


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_ready_files_agree_with_our_configuration(path):
    precision = path.stem if path.stem in ("bf16", "fp16") else "fp32"
    train = trial_config(deepspeed=str(path), precision=precision, accumulate=2).train
    values = read_ds_config(train, 2)
    assert values["train_batch_size"] == 8
    assert values["train_micro_batch_size_per_gpu"] == 2
    assert values["gradient_accumulation_steps"] == 2
    assert values["gradient_clipping"] == 5.0
    assert '"auto"' not in json.dumps(values)


def test_without_a_file_it_is_zero_0():
    assert read_ds_config(trial_config().train, 1)["zero_optimization"] == {"stage": 0}


def test_optimizer_and_scheduler_that_agree_are_taken_out(tmp_path):
    given = {
        "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": [0.9, 0.999]}},
        "scheduler": {"type": "WarmupCosineLR", "params": {"total_num_steps": "auto"}},
        "zero_optimization": {"stage": 3, "reduce_bucket_size": "auto"},
    }
    values = read_ds_config(settings(tmp_path, given), 2)
    assert "optimizer" not in values
    assert "scheduler" not in values
    assert values["zero_optimization"] == {"stage": 3}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{", "is not valid JSON"),
        ("[]", "does not hold a JSON object"),
        ({"train_batch_size": 64}, "train_batch_size is 64, but train.batch_size is 8"),
        (
            {"train_micro_batch_size_per_gpu": 8},
            "8 x 1 micro-batches x 2 ranks is not train.batch_size 8",
        ),
        ({"gradient_accumulation_steps": 2}, "but train.accumulate is 1"),
        ({"gradient_clipping": 1.0}, "gradient_clipping is 1.0, but train.clip is 5.0"),
        ({"optimizer": {"type": "Lamb"}}, "optimizer.type is Lamb, but pgseg trains with AdamW"),
        ({"optimizer": {"params": {"lr": 1}}}, "optimizer.params.lr is 1, but train.lr is 1e-05"),
        ({"scheduler": {"type": "OneCycle"}}, "scheduler.type OneCycle contradicts"),
        ({"scheduler": {"params": {"warmup_num_steps": 9}}}, "warmup_num_steps contradicts"),
        ({"bf16": {"enabled": True}}, "bf16 is enabled, but train.precision is fp32"),
        ({"zero_optimization": {"stage": 4}}, "zero_optimization.stage is 4"),
        ({"zero_optimization": 2}, "zero_optimization is not a JSON object"),
        ({"zero_optimization": {"stage": "2"}}, "zero_optimization.stage is '2'"),
        ({"zero_optimization": {"stage": 2, "offload_param": {}}}, "offload_param is for stage 3"),
        ({"zero_optimisation": {"stage": 2}}, "DeepSpeed knows no key zero_optimisation"),
        ({"train_batch_size": "eight"}, 'train_batch_size is "eight", but train.batch_size is 8'),
        ({"scheduler": {"params": 3}}, "scheduler.params is not a JSON object"),
        ({"optimizer": "AdamW"}, "optimizer is not a JSON object"),
        ({"amp": {"enabled": True}}, "amp is enabled, which would change"),
        ({"aio": {"block_size": "auto"}}, 'aio.block_size is "auto", but nothing'),
    ],
)
def test_contradictions_are_named(tmp_path, given, sentence):
    with pytest.raises(ConfigError) as caught:
        read_ds_config(settings(tmp_path, given), 2)
    assert sentence in caught.value.message
    assert "ds.json" in caught.value.message


def test_zero_3_and_compiled_blocks_exclude_each_other(tmp_path):
    read_ds_config(settings(tmp_path, {"zero_optimization": {"stage": 2}}, compile=True), 2)
    three = settings(tmp_path, {"zero_optimization": {"stage": 3}}, compile=True)
    with pytest.raises(ConfigError, match=r"train\.compile does not go with ZeRO stage 3"):
        read_ds_config(three, 2)


@pytest.mark.parametrize(
    ("zero", "sentence"),
    [
        ({"offload_optimiser": {"device": "cpu"}}, "zero_optimization.offload_optimiser: Extra"),
        ({"offload_optimizer": {"device": "gpu"}}, "offload_optimizer.device: Input should be"),
        ({"overlap_comm": "perhaps"}, "overlap_comm: Input should be a valid boolean"),
    ],
)
def test_what_deepspeed_itself_would_refuse_is_refused_before_it_starts(tmp_path, zero, sentence):
    pytest.importorskip("deepspeed")
    train = settings(tmp_path, {"zero_optimization": {"stage": 2, **zero}}, backend="deepspeed")
    with pytest.raises(ConfigError, match=sentence):
        check_settings(train, 2)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.json: no such DeepSpeed configuration"):
        read_ds_config(trial_config(deepspeed=str(tmp_path / "gone.json")).train, 1)


def test_the_precision_that_a_file_switches_on_is_ours(tmp_path):
    on = settings(tmp_path, {"fp16": {"enabled": True}}, precision="fp16")
    assert precision_of(on.deepspeed) == "fp16"
    assert "fp16" not in read_ds_config(on, 2), "the loss scale is ours too"
    assert precision_of(settings(tmp_path, {"bf16": {"enabled": "auto"}}).deepspeed) is None
    assert precision_of("") is None
