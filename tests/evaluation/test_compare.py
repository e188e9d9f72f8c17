import json

import pytest
import torch

from pgseg_core.errors import DataError
from pgseg_core.evaluation.metrics.threshold_curve import threshold_curve
from pgseg_core.evaluation.report.compare import compare_reports, read_report
from pgseg_core.evaluation.report.report import ImageCounts, sparse_counts, write_report
from tests.evaluation.test_report import make_report

IMAGES = (
    ImageCounts("a", (0, 1), hits=(3, 1), target=(4, 2), predicted=(4, 2)),
    ImageCounts("b", (0,), hits=(5,), target=(5,), predicted=(5,)),
)
BETTER = (ImageCounts("a", (0, 1), hits=(4, 2), target=(4, 2), predicted=(4, 2)), IMAGES[1])


def written(folder, **changes):
    write_report(make_report(**{"images": IMAGES, **changes}), folder)
    return read_report(folder)


def test_two_reports(tmp_path):
    a = written(tmp_path / "a")
    b = written(tmp_path / "b", images=BETTER, protocol="tcl", threshold=None)
    with pytest.raises(DataError, match=r"different protocols \(groupvit and tcl\)"):
        compare_reports(a, b)
    found = compare_reports(a, b, across_protocols=True)
    assert found.iou[0] == pytest.approx((8 / 10, 1))
    assert found.iou[1] == pytest.approx((1 / 3, 1))
    assert found.miou == pytest.approx(((8 / 10 + 1 / 3) / 2, 1))
    assert found.test.difference == pytest.approx(found.miou[1] - found.miou[0])
    assert found.differences == ("protocol: groupvit and tcl", "threshold: 0.95 and none")


def test_trivial_answers_are_compared_with_any_protocol(tmp_path):
    a, b = (
        written(tmp_path / "a", protocol="none", threshold=None),
        written(tmp_path / "b", protocol="tcl (at 448)"),
    )
    assert compare_reports(a, b).differences == ("protocol: none and tcl (at 448)",)


def test_what_cannot_be_compared_is_said(tmp_path):
    a = written(tmp_path / "a")
    with pytest.raises(DataError, match="different classes"):
        compare_reports(a, written(tmp_path / "b", class_names=("x", "y", "z")))
    with pytest.raises(DataError, match=r"different images \(2 and 1\), such as b"):
        compare_reports(a, written(tmp_path / "c", images=IMAGES[:1]))
    other = ImageCounts("b", (0,), hits=(5,), target=(6,), predicted=(5,))
    with pytest.raises(DataError, match="ground truth of b differs"):
        compare_reports(a, written(tmp_path / "d", images=(IMAGES[0], other)))
    (tmp_path / "e.json").write_text(json.dumps({"protocol": "groupvit"}))
    with pytest.raises(DataError, match=r"e\.json is not a report"):
        read_report(tmp_path / "e.json")
    with pytest.raises(DataError, match=r"gone cannot be read"):
        read_report(tmp_path / "gone")


def test_sparse_counts_keep_every_pixel():
    counts = torch.tensor([[[1, 0, 0], [2, 0, 0], [1, 0, 3]], [[0, 0, 0]] * 3])
    first, empty = sparse_counts(("x", "y"), counts)
    assert first == ImageCounts("x", (0, 2), hits=(1, 0), target=(2, 0), predicted=(1, 3))
    assert empty.classes == ()


def test_a_curve_names_its_best_threshold_and_what_it_was_tuned_on():
    matrices = torch.tensor([[[1, 1], [1, 1]], [[2, 0], [0, 2]], [[2, 0], [0, 2]]])
    curve = threshold_curve(matrices, (0.1, 0.5, 0.9), tuned_on="mine, 3 images")
    assert curve.miou == (1 / 3, 1, 1)
    assert (curve.best_threshold, curve.best_miou) == (0.5, 1)
    assert "best threshold 0.5, tuned on mine, 3 images" in curve.sentence
