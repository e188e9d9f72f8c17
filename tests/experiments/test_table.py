"""Reports to a table: means, intervals, differences; Markdown, CSV, JSON and the figure."""

import csv
import io
import json
import math
import statistics

import pytest

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.intervals import class_ious, paired_test
from pgseg_core.experiments import collect, load_plan
from pgseg_core.experiments.figure import draw_table
from pgseg_core.experiments.runs import CellFolder
from pgseg_core.experiments.table_files import as_csv, as_json, markdown, write_table
from pgseg_core.viz.sheet import save_figure
from tests.experiments.conftest import draw_counts, write_retrieval, write_segmentation

SEEDS = (0, 1, 2)


@pytest.fixture
def measured(sweep_file, tmp_path):
    """All six cells measured on scenes, those of seed 0 on retrieval."""
    out = tmp_path / "out"
    plan = load_plan(sweep_file, out)
    scenes, retrieval = plan.measurements
    for place, cell in enumerate(plan.cells):
        folder = CellFolder.of(out, cell)
        write_segmentation(folder.measured(scenes), draw_counts(place), used=1 + place)
        if cell.seed == 0:
            write_retrieval(folder.measured(retrieval), 0.25 + place / 10)
    return plan, out


def test_numbers_are_those_of_the_reports(measured):
    plan, out = measured
    scenes, retrieval = collect(plan, out).sets
    a, b = scenes.rows
    own = [class_ious(draw_counts(2 * s).sum(dim=0)).mean().item() for s in SEEDS]
    other = [class_ious(draw_counts(2 * s + 1).sum(dim=0)).mean().item() for s in SEEDS]
    assert a.entries["miou"].over_seeds.values == pytest.approx(own)
    assert a.entries["miou"].over_seeds.mean == pytest.approx(statistics.fmean(own))
    assert a.entries["miou"].difference is None
    moved = b.entries["miou"].difference
    assert moved.seeds.values == pytest.approx([y - x for x, y in zip(own, other, strict=True)])
    low, high = moved.images
    assert low < moved.seeds.mean < high
    assert a.entries["groups_used"].over_seeds.values == (1, 3, 5)
    assert a.entries["groups_used"].over_images == pytest.approx((2.75, 3.25))
    assert "compactness" not in a.entries
    assert retrieval.rows[1].seeds == (0,)
    assert retrieval.rows[1].entries["text_to_image"].over_seeds.values == pytest.approx((0.175,))


def test_one_seed_gives_the_interval_of_the_paired_test(sweep_file, tmp_path):
    """With one seed the bootstrap over images is `pgseg eval compare`'s."""
    plan = load_plan(sweep_file, tmp_path)
    for place, cell in enumerate(plan.cells[:2]):
        folder = CellFolder.of(tmp_path, cell).measured(plan.measurements[0])
        write_segmentation(folder, draw_counts(place), used=2)
    moved = collect(plan, tmp_path).sets[0].rows[1].entries["miou"].difference
    test = paired_test(draw_counts(0), draw_counts(1))
    assert moved.images == (test.interval.low, test.interval.high)
    assert moved.seeds.mean == pytest.approx(test.difference)
    assert moved.verdict == "one seed"


def test_files_agree(measured):
    plan, out = measured
    table = collect(plan, out)
    write_table(table, out, command="pgseg sweep ab.yaml --out out")
    text = (out / "table.md").read_text("utf-8")
    assert text == markdown(table, command="pgseg sweep ab.yaml --out out")
    assert "**Unfinished: 0 of 6 runs.**" in text
    mean = table.sets[0].rows[0].entries["miou"].over_seeds.mean
    assert f"| A | 3 | {100 * mean:.1f} ± " in text
    assert "pgseg sweep ab.yaml --out out --only 'B, louder'" in text
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert lines == list(csv.DictReader((out / "table.csv").open(encoding="utf-8")))
    own = [float(x["value"]) for x in lines if (x["row"], x["measure"]) == ("A", "miou")]
    assert statistics.fmean(own) == pytest.approx(mean, abs=1e-6)
    values = json.loads(as_json(table, command=""))
    assert values["sets"][0]["rows"]["A"]["measures"]["miou"]["over_seeds"]["mean"] == mean
    assert values["rows"]["A"] == {"model.npr.enabled": False}


def test_the_figure_shows_every_row(measured, tmp_path):
    plan, out = measured
    figure = draw_table(collect(plan, out))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["B, louder", "A"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [3, 3]
    save_figure(figure, tmp_path / "figure.svg")
    assert "B, louder" in (tmp_path / "figure.svg").read_text("utf-8")


def test_nothing_measured_is_an_empty_table(sweep_file, tmp_path):
    table = collect(load_plan(sweep_file, tmp_path), tmp_path)
    assert table.sets == ()
    assert not table.whole
    assert "Unfinished: 0 of 6" in markdown(table, command="x")


def test_a_damaged_report_is_named(measured):
    plan, out = measured
    report = CellFolder.of(out, plan.cells[0]).measured(plan.measurements[0]) / "report.json"
    report.write_text('{"scores": {}}')
    with pytest.raises(DataError, match=r"report\.json is not a report of pgseg eval"):
        collect(plan, out)


def test_a_missing_measure_is_a_dash(measured):
    plan, out = measured
    folder = CellFolder.of(out, plan.cells[0]).measured(plan.measurements[0])
    values = json.loads((folder / "report.json").read_text("utf-8"))
    values["quality"]["groups_used"] = {"value": None, "interval": None, "count": 0}
    (folder / "report.json").write_text(json.dumps(values))
    row = collect(plan, out).sets[0].rows[0]
    assert row.entries["groups_used"].over_seeds.values == (3, 5)
    assert not math.isnan(row.entries["groups_used"].over_seeds.mean)
