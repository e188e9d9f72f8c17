"""The main job as typed: prepare, train, evaluate, segment, look."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.conftest import random_image, write_table


def test_the_four_calls_in_an_empty_folder(pgseg, tmp_path, monkeypatch):
    """Prepare, train, segment and viz with their defaults; only sizes are cut down."""
    from pgseg_core.data.prepare import synthetic

    monkeypatch.chdir(tmp_path)
    small = partial(synthetic.SceneOptions, train=40, val=4, test=4, size=48)
    monkeypatch.setattr(synthetic, "SceneOptions", small)
    prepared = pgseg("data prepare")
    assert prepared.code == 0, prepared.err
    assert "embedded synthetic scenes in data/scenes" in prepared.words
    assert (tmp_path / "data/scenes/eval/classes.txt").exists()

    trained = pgseg(
        "train --set train.epochs=1 --set train.warmup_epochs=0 --set train.batch_size=16"
    )
    assert trained.code == 0, trained.err
    assert "40 pairs from data/scenes" in trained.words
    assert "writing to runs/pgseg-tiny" in trained.words
    assert "pgseg eval --weights runs/pgseg-tiny" in trained.words

    Image.effect_mandelbrot((70, 50), (-2, -1, 1, 1), 20).convert("RGB").save("img.jpg")
    segmented = pgseg('segment img.jpg -c "sky,road"')
    assert segmented.code == 0, segmented.err
    with Image.open(tmp_path / "segmented/img_mask.png") as mask:
        assert mask.size == (70, 50)
        assert set(np.unique(np.asarray(mask))) <= {0, 1}

    drawn = pgseg("viz prototypes")
    assert drawn.code == 0, drawn.err
    with Image.open(tmp_path / "scene_prototypes.png") as figure:
        assert min(figure.size) > 200


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bf16"), (False, "fp32")])
def test_table_to_weights(pgseg, tmp_path, monkeypatch, in_hardware, precision):
    """On both kinds of processors: what `train.precision: auto` stands for is forced."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: in_hardware, raising=False)
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "photos", 24)
    assert pgseg("data prepare photos --out shards/").code == 0
    settings = "--set train.epochs=1 --set train.warmup_epochs=0 --set train.batch_size=8"
    trained = pgseg(f"train --preset groupvit-tiny --data shards/ --out runs/a {settings}")
    assert trained.code == 0, trained.err
    assert f"precision: {precision}" in Path("runs/a/config.yaml").read_text()
    again = pgseg("train --resume runs/a")
    assert again.code == 0, again.err
    assert pgseg(f"train --data shards/ --out runs/a {settings}").code == 2
    shown = json.loads(pgseg("segment photos -c sky,road --background --json").out)
    assert all(sum(each["pixels"] for each in photo["classes"]) > 0 for photo in shown)


def test_eval_writes_a_report_that_agrees_with_its_json(pgseg, here):
    result = pgseg("eval --limit 3 --out report --json")
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values == json.loads((here / "report/report.json").read_text())
    assert values["images_seen"] == 3
    assert values["protocol"].startswith("groupvit")
    assert len(values["scores"]["iou"]) == len(values["class_names"]) == 18
    assert (here / "report/classes.csv").read_text().count("\n") == 19


def test_groups_and_foreign_masks_are_measured_the_same_way(pgseg, here):
    own = pgseg("eval --limit 3 --quality --out report --json")
    assert own.code == 0, own.err
    quality = json.loads(own.out)["quality"]
    assert quality == json.loads((here / "report/report.json").read_text())["quality"]
    assert quality["images"] == 3
    assert 0 < quality["richness"]["value"] <= 1
    assert 1 <= quality["groups_used"]["value"] <= 8
    assert quality["compactness"]["interval"]["low"] <= quality["compactness"]["value"]
    assert "Segments, whatever their class" in (here / "report/report.html").read_text("utf-8")
    truth = pgseg("eval --masks data/scenes/eval/masks --out theirs --json")
    assert truth.code == 0, truth.err
    values = json.loads(truth.out)
    assert values == json.loads((here / "theirs/report.json").read_text())
    assert values["quality"]["found"]["value"] == 1.0
    assert "objects found % (IoU 0.5)" in truth.words


def test_several_sets_in_one_call(pgseg, here):
    copy = here / "again"
    copy.symlink_to(here / "data/scenes/eval")
    line = "eval --dataset scenes,folder --data-root data/scenes/eval --data-root again --limit 2"
    result = pgseg(f"{line} --out both --json")
    assert result.code == 0, result.err
    scenes, folder = json.loads(result.out)
    assert [scenes["dataset"], folder["dataset"]] == ["scenes", "folder"]
    assert scenes["scores"] == folder["scores"]
    assert scenes == json.loads((here / "both/scenes/report.json").read_text())
    assert (here / "both/folder/classes.csv").exists()
    spelled = pgseg(line.replace("scenes,folder", "scenes --dataset folder") + " --json")
    assert json.loads(spelled.out) == [scenes, folder]


def test_baselines_and_the_comparison_of_reports(pgseg, here):
    for name, out in (("frequent", "a"), ("random-groups", "b")):
        result = pgseg(f"eval --baseline {name} --out {out}")
        assert result.code == 0, result.err
        assert "95 % interval over images" in result.words
    compared = pgseg("eval compare a b/report.json --json")
    assert compared.code == 0, compared.err
    values = json.loads(compared.out)
    assert values["verdict"] == "B is better"
    assert values["difference"] == pytest.approx(values["miou"][1] - values["miou"][0])
    assert len(values["iou"]) == 18
    same = json.loads(pgseg("eval compare a a --json").out)
    assert same["difference"] == 0
    assert same["p_value"] == 1
    assert same["verdict"] == "no difference can be told"


def test_a_threshold_curve_in_one_pass(pgseg, here):
    voc = here / "voc"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / part).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = generator.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(voc / "JPEGImages" / f"{name}.jpg")
        mask = generator.integers(0, 3, (30, 40), dtype=np.uint8)
        Image.fromarray(mask).save(voc / "SegmentationClass" / f"{name}.png")
    (voc / "ImageSets/Segmentation/val.txt").write_text("a\nb\n")
    line = "eval --dataset voc12 --data-root voc --json"
    swept = json.loads(pgseg(f"{line} --sweep-background").out)
    curve = dict(zip(swept["sweep"]["thresholds"], swept["sweep"]["miou"], strict=True))
    assert swept["sweep"]["tuned_on"] == "voc12, 2 images"
    for threshold in (0.95, 0.05):
        alone = json.loads(pgseg(f"{line} --background {threshold}").out)
        assert alone["scores"]["miou"] == curve[threshold]
        assert alone["threshold_from"] == "given"
    for protocol in ("tcl", "sclip"):
        values = json.loads(pgseg(f"{line} --protocol {protocol} --templates simple").out)
        assert values["protocol"].startswith(protocol)
        assert values["images_seen"] == 2


def test_a_departure_from_the_protocol_is_in_its_name(pgseg, here):
    own = json.loads(pgseg("eval --limit 1 --json").out)
    strict = json.loads(pgseg("eval --limit 1 --protocol-size --json").out)
    assert own["protocol"] == "groupvit (at 128, window 128, stride 64; patch share 0.6)"
    assert strict["protocol"] == "groupvit (patch share 0.6)"


def test_retrieval(pgseg, here):
    result = pgseg("eval --task retrieval --out found --json")
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values == json.loads((here / "found/report.json").read_text())
    assert values["split"] == "test"
    assert len(values["weights_hash"]) == 12
    scores = values["scores"]
    assert scores["num_images"] == 6
    assert scores["num_texts"] == 30
    assert scores["image_to_text"] == sorted(scores["image_to_text"])


def test_classification(pgseg, here):
    for number, name in enumerate(("red_car", "dog")):
        folder = here / "photos" / name
        folder.mkdir(parents=True)
        for place in range(3):
            random_image(10 * number + place, 40, 30).save(folder / f"{place}.jpg")
    result = pgseg("eval --task classification --data-root photos --out found --json")
    assert result.code == 0, result.err
    values = json.loads(result.out)
    assert values == json.loads((here / "found/report.json").read_text())
    assert values["class_names"] == ["dog", "red_car"]
    assert values["images_seen"] == 6
    assert values["scores"]["top5"] == 1.0
    assert (here / "found/classes.csv").read_text().startswith("index,class,images,top1\n0,dog,3,")
    assert "top-1 %" in result.words


@pytest.mark.dist
def test_two_processes_give_the_same_report(pgseg, here):
    """Bit for bit: counts, every image's too, intervals, group quality and the page."""
    program = [sys.executable, "-m", "pgseg_cli.main", "eval", "--limit", "5", "--quality"]
    program += ["--weights", "runs/pgseg-tiny"]
    line = [*program, "--nproc", "2", "--out", "two", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    one = pgseg("eval --limit 5 --quality --weights runs/pgseg-tiny --out one --json")
    assert one.code == 0, one.err
    assert json.loads(run.stdout) == json.loads(one.out)
    for name in ("report.json", "classes.csv", "report.html"):
        assert (here / "two" / name).read_text("utf-8") == (here / "one" / name).read_text("utf-8")
    assert run.stderr.count("mIoU %") == 1
    broken = [*line[:3], "eval", "--masks", "gone", "--nproc", "2"]
    failed = subprocess.run(broken, capture_output=True, text=True, env=environment, check=False)
    assert failed.returncode == 2
    assert failed.stderr.count("the folder gone does not exist") == 1


def test_segment_json_mask_and_overlay_agree(pgseg, here):
    image = here / "data/scenes/eval/images/20000000.png"
    result = pgseg(f'segment {image} -c "sky,road,tree" --background --threshold 0.2 --json')
    assert result.code == 0, result.err
    record = json.loads(result.out)
    assert record == json.loads((here / "segmented/20000000.json").read_text())
    with Image.open(record["mask"]) as file:
        mask = np.asarray(file)
    assert [entry["name"] for entry in record["classes"]] == ["background", "sky", "road", "tree"]
    counts = np.bincount(mask.ravel(), minlength=4).tolist()
    assert [entry["pixels"] for entry in record["classes"]] == counts
    assert sum(counts) == record["width"] * record["height"]
    assert sum(entry["share"] for entry in record["classes"]) == pytest.approx(1, abs=1e-5)
    with Image.open(record["overlay"]) as overlay, Image.open(image) as photo:
        assert overlay.width >= photo.width
        assert overlay.height > photo.height


def test_a_folder_keeps_its_shape_and_one_bad_file_does_not_stop_it(pgseg, here):
    photos = here / "photos"
    (photos / "inner").mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(photos / "a.png")
    Image.new("L", (30, 40), 90).save(photos / "inner/b.jpg")
    (photos / "broken.jpg").write_bytes(b"not a photo")
    result = pgseg('segment photos -c "sky,road" --out out --json')
    assert result.code == 2
    assert len(json.loads(result.out)) == 2
    assert "skipped 1 of 3 photos" in result.words
    assert "broken.jpg" in result.words
    assert (here / "out/a_mask.png").exists()
    assert (here / "out/inner/b_mask.png").exists()
    assert not list((here / "out").glob("broken*"))


def test_the_same_photo_gives_the_same_files(pgseg, here):
    image = here / "data/scenes/eval/images/20000001.png"
    for out in ("one", "two"):
        assert pgseg(f'segment {image} -c "sky,road" --out {out}').code == 0
    for name in ("20000001_mask.png", "20000001_overlay.png"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()


def test_backends_are_listed(pgseg):
    result = pgseg("backends --json")
    assert "single" in json.loads(result.out)
