"""Sweep files: what a good one becomes, and the sentence for each way to spoil one."""

from pathlib import Path

import pytest
import yaml

from pgseg_core.errors import ConfigError
from pgseg_core.experiments import load_plan
from tests.experiments.conftest import write_sweep

SHIPPED = sorted((Path(__file__).parents[2] / "examples/ablations").glob("*.yaml"))


def test_a_plan_is_rows_by_seeds(sweep_file, tmp_path):
    plan = load_plan(sweep_file, tmp_path / "out")
    assert [cell.name for cell in plan.cells] == [
        "A:0", "B, louder:0", "A:1", "B, louder:1", "A:2", "B, louder:2"
    ]  # fmt: skip
    first, second = plan.cells[:2]
    assert not first.config.model.npr.enabled
    assert second.config.model.npr.enabled
    assert (first.config.train.lr, second.config.train.lr) == (6e-4, 1e-3)
    assert [cell.config.train.seed for cell in plan.cells] == [0, 0, 1, 1, 2, 2]
    assert first.config.data.shards == str(tmp_path / "out/scenes")
    assert [m.root for m in plan.measurements] == [
        str(tmp_path / "out/scenes/eval"), str(tmp_path / "out/scenes")
    ]  # fmt: skip
    assert plan.reference == "A"
    assert len({cell.place for cell in plan.cells}) == 6


def test_the_full_section_replaces_what_it_names(sweep_file, tmp_path):
    roots = {"voc12": tmp_path / "voc"}
    plan = load_plan(sweep_file, tmp_path, full=True, data=tmp_path / "shards", roots=roots)
    assert plan.cells[0].config.model.image.width == 384
    assert plan.cells[0].config.data.shards == str(tmp_path / "shards")
    assert [m.root for m in plan.measurements] == [str(tmp_path / "voc")]
    assert plan.seeds == (0, 1, 2)
    assert plan.scenes is None


def test_a_base_lies_beside_the_file(tmp_path):
    (tmp_path / "my.yaml").write_text("base: pgseg-tiny\ntrain: {lr: 0.5}\n")
    plan = load_plan(write_sweep(tmp_path / "s.yaml", base="my.yaml"), tmp_path)
    assert plan.cells[0].config.train.lr == 0.5


def test_other_classes_lie_beside_the_file_or_where_they_are_named(tmp_path):
    (tmp_path / "words.json").write_text("{}")
    sets = [{"dataset": "voc12", "root": "voc", "regroup": "words.json"}]
    sets += [{"dataset": "camvid", "root": "cam", "regroup": "elsewhere/words.json"}]
    plan = load_plan(write_sweep(tmp_path / "s.yaml", evaluation=sets), tmp_path)
    found = [measurement.regroup for measurement in plan.measurements]
    assert found == [str(tmp_path / "words.json"), "elsewhere/words.json"]


def test_cells_are_chosen_by_row_or_by_seed(sweep_file, tmp_path):
    plan = load_plan(sweep_file, tmp_path)
    assert [c.name for c in plan.chosen(["B, louder", "A:2"])] == [
        "B, louder:0", "B, louder:1", "A:2", "B, louder:2"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="has no such row") as refused:
        plan.chosen(["b louder"])
    assert "Did you mean 'B, louder'?" in refused.value.hint


@pytest.mark.parametrize(
    ("changes", "sentence", "hint"),
    [
        ({"rows": {"A": {"model.npr.treshold": 1}}}, "row 'A': .*npr.treshold", "npr.threshold"),
        ({"rows": {"A": {"train.lr": "fast"}}}, "row 'A': .*train.lr", ""),
        ({"rows": {}}, "rows is empty", "NAME"),
        ({"rows": {"A b": {}, "a-B": {}}}, "'a-B' would share its folder with 'A b'", ""),
        ({"rows": {"A": {"train.seed": 3}}}, "train.seed is the sweep's own", "seeds:"),
        ({"settings": {"data.shards": "x"}}, "data.shards is the sweep's own", "data:"),
        ({"base": "pgseg-tinny"}, "'pgseg-tinny' is neither", "pgseg-tiny"),
        ({"sead": [1]}, "unknown key 'sead'", "seeds"),
        ({"seeds": []}, "seeds", ""),
        ({"seeds": [1, 1]}, "name one twice", ""),
        ({"seeds": [-1]}, "seeds.0", ""),
        ({"reference": "C"}, "reference 'C' is no row", "A"),
        ({"scenes": None}, "names no data", "--data DIR"),
        ({"scenes": {"sise": 3}}, "unknown option 'sise'", "size"),
        ({"scenes": {"size": 0}}, "size is 0", ""),
        ({"evaluation": []}, "evaluation", ""),
        ({"evaluation": [{"dataset": "voc2012"}]}, "no evaluation set called 'voc2012'", "voc12"),
        ({"evaluation": [{"dataset": "voc12"}]}, "where is voc12?", "--data-root voc12=DIR"),
        ({"evaluation": [{"dataset": "scenes", "limit": 1}]}, "evaluation.0.limit", ""),
        ({"evaluation": [{"dataset": "scenes", "rot": "x"}]}, "unknown key 'evaluation.0.rot'", ""),
        ({"evaluation": [{"dataset": "scenes"}] * 2}, "names scenes twice", ""),
    ],
)
def test_a_spoilt_file_is_refused_in_a_sentence(tmp_path, changes, sentence, hint):
    path = write_sweep(tmp_path / "spoilt.yaml", **changes)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load_plan(path, tmp_path)
    assert hint in refused.value.hint
    assert "\n" not in refused.value.message


def test_no_file_no_yaml_no_section(tmp_path, sweep_file):
    with pytest.raises(ConfigError, match=r"gone.yaml: .* cannot be read"):
        load_plan(tmp_path / "gone.yaml", tmp_path)
    (tmp_path / "bad.yaml").write_text("title: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_plan(tmp_path / "bad.yaml", tmp_path)
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="does not hold a mapping"):
        load_plan(tmp_path / "list.yaml", tmp_path)
    with pytest.raises(ConfigError, match="has no section full"):
        load_plan(write_sweep(tmp_path / "small.yaml", full=None), tmp_path, full=True)
    with pytest.raises(ConfigError, match="is not measured on voc12"):
        load_plan(sweep_file, tmp_path, roots={"voc12": tmp_path})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_files_load_in_both_sizes(path, tmp_path):
    small = load_plan(path, tmp_path)
    assert len(small.cells) >= 2
    full = yaml.safe_load(path.read_text("utf-8")).get("full")
    if full:
        roots = {entry["dataset"]: tmp_path for entry in full["evaluation"]}
        large = load_plan(path, tmp_path, full=True, data=tmp_path, roots=roots)
        assert large.cells[0].config.model.image.width == 384


def test_there_are_shipped_files():
    assert SHIPPED
