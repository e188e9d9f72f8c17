"""DejaVu Sans for what it knows, another font of the machine for the rest."""

from pathlib import Path

import matplotlib as mpl

from pgseg_core.viz import typeface as room
from pgseg_core.viz.sheet import Sheet, save_figure
from pgseg_core.viz.typeface import families, typeface

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
PRIVATE = "\ue000"  # a sign that STIXNonUni draws and DejaVu Sans does not


def test_the_first_font_that_knows_all_of_a_text_is_taken(monkeypatch):
    others = (FONTS / "missing.ttf", FONTS / "STIXNonUni.ttf")
    monkeypatch.setattr(room, "_other_files", lambda: others)
    typeface.cache_clear()
    assert Path(typeface(20, "sky الطريق שמיים").path).name == "DejaVuSans.ttf"
    assert Path(typeface(20, PRIVATE).path).name == "STIXNonUni.ttf"
    assert Path(typeface(20, f"{PRIVATE}{PRIVATE}\U0001f98a").path).name == "STIXNonUni.ttf"
    assert Path(typeface(20, "\U0001f98a").path).name == "DejaVuSans.ttf"
    assert typeface(20).size == 20
    typeface.cache_clear()


def test_figures_take_each_sign_from_a_font_that_knows_it(monkeypatch, tmp_path, recwarn):
    monkeypatch.setattr(room, "_other_files", lambda: (FONTS / "STIXNonUni.ttf",))
    families.cache_clear()
    assert families("sky 5$ שמיים") == ("DejaVu Sans",)
    assert families(f"sky {PRIVATE}") == ("DejaVu Sans", "STIXNonUnicode")
    sheet = Sheet(2, 0.4)
    sheet.words(f"fox \U0001f98a 日本語 {PRIVATE}", (0.1, 0.2), room=1.8)
    save_figure(sheet.figure, tmp_path / "names.svg")
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    families.cache_clear()


def test_fonts_of_this_machine_are_looked_through_without_harm():
    assert isinstance(room._other_files(), tuple)
    assert typeface(12, "日本語").getlength("日本語") > 0
