import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pgseg_core.errors import DataError
from pgseg_core.figures.prototypes import draw_prototypes
from pgseg_core.figures.stages import StageView
from pgseg_core.figures.tiles import group_picture, heat_tile, mask_tile
from pgseg_core.viz.palette import palette
from pgseg_core.viz.sheet import Sheet, save_figure


def make_photo(width: int = 96, height: int = 96) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 255 / height, columns * 255 / width, 0 * rows + 90], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def make_stage(
    num_groups: int, grid: tuple[int, int] = (6, 6), num_prototypes: int = 5
) -> StageView:
    generator = np.random.default_rng(num_groups)
    scores = np.exp(generator.normal(size=(num_prototypes, *grid)))
    return StageView(
        group_map=generator.integers(0, num_groups, size=grid),
        num_groups=num_groups,
        responsibility=scores / scores.sum(axis=0),
        matched=np.arange(num_groups) % num_prototypes,
        similarity=np.linspace(-0.2, 0.9, num_groups),
        kept=np.arange(num_groups) % 2 == 0,
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def rendered(figure: Figure) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_two_stages_as_the_paper_has_them() -> None:
    figure = draw_prototypes(make_photo(), [make_stage(64, (14, 14)), make_stage(8)])
    said = texts(figure)
    assert {"Photo", "Stage 1", "Stage 2"} <= set(said)
    assert "64 groups, 14 x 14 patches" in said
    assert sum(text.startswith("G ") for text in said) == 16
    assert any(text.startswith("grey: ") for text in said)
    assert rendered(figure).std() > 10


def test_each_pair_says_prototype_cosine_and_verdict() -> None:
    stage = StageView(
        group_map=np.array([[0, 0], [0, 2]]),
        num_groups=3,
        responsibility=np.full((4, 2, 2), 0.25),
        matched=np.array([3, 0, 1]),
        similarity=np.array([0.714, 0.0, -0.25]),
        kept=np.array([True, True, False]),
    )
    said = texts(draw_prototypes(make_photo(), [stage]))
    assert said.index("G 0 ↔ P 3") < said.index("G 2 ↔ P 1")
    assert "cos 0.71, kept" in said
    assert "cos -0.25, rejected" in said
    assert said.count("75.0 %") == said.count("25.0 %") == 1
    assert "1 empty" in said


def test_a_model_without_prototypes_shows_its_groups_and_says_so() -> None:
    stage = make_stage(8)
    bare = StageView(stage.group_map, stage.num_groups)
    figure = draw_prototypes(make_photo(), [bare])
    said = texts(figure)
    assert "no prototypes: groups alone" in said
    assert not any("↔" in text for text in said)
    full = draw_prototypes(make_photo(), [stage])
    shown = sum(text.startswith("G ") for text in said)
    assert len(full.axes) - len(figure.axes) == shown + 1  # heat tiles and their scale


def test_parts_of_the_evidence_may_be_missing() -> None:
    stage = replace(make_stage(4), similarity=None, kept=None, matched=np.array([0, -1, 1, 2]))
    said = texts(draw_prototypes(make_photo(), [stage]))
    assert "no prototype" in said
    assert not any("cos" in text or "kept" in text for text in said)


def test_groups_have_one_colour_in_the_map_and_around_their_tiles() -> None:
    stage = make_stage(3, (4, 4))
    figure = draw_prototypes(make_photo(), [stage])
    largest = np.bincount(stage.group_map.ravel()).argsort(kind="stable")[::-1][0]
    number = next(text for text in figure.findobj(Text) if text.get_text() == str(largest))
    plate = number.get_bbox_patch()
    assert plate is not None
    fill = np.array(plate.get_facecolor()[:3])
    assert np.allclose(fill * 255, palette()[0])
    framed = [axes for axes in figure.axes if axes.spines["left"].get_visible()]
    assert np.allclose(framed[0].spines["left"].get_edgecolor()[:3], fill, atol=0.01)


@pytest.mark.parametrize(
    ("width", "height", "grid"), [(1, 1, (1, 1)), (300, 20, (2, 9)), (20, 300, (9, 2))]
)
def test_photos_of_any_shape(width: int, height: int, grid: tuple[int, int]) -> None:
    figure = draw_prototypes(make_photo(width, height), [make_stage(4, grid)])
    inches = figure.get_size_inches()
    assert (inches < 60).all()
    rendered(figure)


def test_saved_whole_and_equal_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.pdf", "b.pdf", "a.svg", "b.svg"):
        sheet = Sheet(3, 2)
        sheet.picture(np.asarray(make_photo()), (0.5, 0.5), (1, 1), frame=(255, 0, 0), dashed=True)
        sheet.words("$ costs", (0.5, 0.3), 9)
        save_figure(sheet.figure, tmp_path / "new" / name)
    for suffix in ("png", "pdf", "svg"):
        first, second = (tmp_path / "new" / f"{stem}.{suffix}" for stem in "ab")
        assert first.read_bytes() == second.read_bytes(), suffix
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.size == (900, 600)
    assert len(list((tmp_path / "new").iterdir())) == 6


def test_a_failed_save_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"older")

    def full_disk(figure: Figure, place: Path, **options: object) -> None:
        place.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full_disk)
    with pytest.raises(DataError, match=r"figure\.png: the figure cannot be written \(No space"):
        save_figure(Figure(), path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize("name", ["figure.bmp9", "figure"])
def test_unknown_formats_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"(?s)cannot be written as '.*Use one of: .*png"):
        save_figure(Figure(), tmp_path / name)


def test_tiles_show_what_they_say() -> None:
    photo = np.full((64, 64, 3), 200, dtype=np.uint8)
    group_map = np.array([[0, 1], [1, 1]])
    coloured = group_picture(photo, group_map, {0: (0, 0, 0)})
    assert coloured[5, 5].tolist() == [80, 80, 80]  # 0.4 of the photo
    assert len(set(coloured[50, 50].tolist())) == 1  # other groups are grey
    tile = mask_tile(photo, group_map == 0, (255, 0, 0))
    assert tile[5, 5].tolist() == [200, 200, 200]
    assert (tile[60, 60] > 230).all()
    assert (tile == [255, 0, 0]).all(axis=-1).any()
    heat = heat_tile(photo, np.array([[0.0, 0.0], [0.0, 0.5]]), most=0.5)
    assert heat[-1, -1].sum() > heat[0, 0].sum()
    assert (heat_tile(photo, np.zeros((2, 2)), most=0.0) == heat[0, 0]).all()
