import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.segmentation import confusion, scores
from pgseg_core.evaluation.report.report import TABLE_COLUMNS, Report, json_text, write_report


def make_report(**changes: object) -> Report:
    prediction, target = np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 255]])
    values: dict[str, object] = {
        "protocol": "groupvit",
        "dataset": "voc12",
        "class_names": ("background", 'cat, "tabby"', "Übersee 海"),
        "class_hash": "0123456789ab",
        "threshold": 0.95,
        "templates": "simple",
        "weights": "run/weights",
        "weights_hash": "ba9876543210",
        "images_seen": 1,
        "images_skipped": 0,
        "scores": scores(confusion(prediction, target, 3), background=True),
    }
    return Report(**(values | changes))


def test_json_says_everything_and_nan_is_null() -> None:
    report = make_report()
    read = json.loads(json_text(report), parse_constant=pytest.fail)
    assert set(read) == set(asdict(report))
    assert read["scores"]["iou"] == [0.5, 0.5, None]
    assert read["class_names"][2] == "Übersee 海"
    assert set(read["versions"]) == {"pgseg", "torch", "python"}


def test_csv_has_a_line_for_each_class(tmp_path: Path) -> None:
    write_report(make_report(), tmp_path)
    with (tmp_path / "classes.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["class"] for line in lines] == ["background", 'cat, "tabby"', "Übersee 海"]
    assert lines[0] == {
        "index": "0",
        "class": "background",
        "iou": "0.500000",
        "accuracy": "0.500000",
        "pixels": "2",
    }
    assert lines[2]["iou"] == lines[2]["accuracy"] == ""


def test_terminal_rows() -> None:
    report = make_report(images_skipped=2)
    rows = report.table_rows()
    assert all(len(row) == len(TABLE_COLUMNS) for row in rows)
    assert rows[0] == ("background", "50.0", "50.0", "66.7")
    assert rows[2] == ("Übersee 海", "-", "-", "0.0")
    summary = dict(report.summary_rows())
    assert summary["mIoU %"] == "50.0"
    assert summary["set"] == "voc12 (1 images, 2 skipped)"
    assert summary["threshold"] == "0.95"
    assert dict(make_report(threshold=None).summary_rows())["threshold"] == "none"


def test_no_pixels_no_shares() -> None:
    empty = scores(confusion(np.array([[0]]), np.array([[255]]), 3))
    assert make_report(scores=empty).table_rows()[0] == ("background", "-", "-", "-")
    assert "mIoU % without background" not in dict(make_report(scores=empty).summary_rows())


def test_written_over_an_older_report_and_nothing_else_left(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    write_report(make_report(), folder)
    path = write_report(make_report(dataset="other"), folder)
    assert path == folder / "report.json"
    assert json.loads(path.read_text("utf-8"))["dataset"] == "other"
    assert sorted(file.name for file in folder.iterdir()) == ["classes.csv", "report.json"]


def test_a_failed_write_leaves_the_older_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(make_report(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    whole_write = Path.write_text

    def full_disk(path: Path, text: str, encoding: str) -> int:
        if "report.json" in path.name:
            whole_write(path, text[:10], encoding)
            raise OSError(28, "No space left on device")
        return whole_write(path, text, encoding)

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(DataError, match=r"cannot be written \(No space left"):
        write_report(make_report(dataset="other"), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    place = tmp_path / "report"
    place.write_text("")
    with pytest.raises(DataError, match=str(place)):
        write_report(make_report(), place)
