"""DejaVu Sans for what it knows, another font of the machine for the rest."""

from pathlib import Path

import matplotlib as mpl

from pgseg_core.viz import typeface as room
from pgseg_core.viz.typeface import typeface

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
PRIVATE = "\ue000"  # a sign that STIXNonUni draws and DejaVu Sans does not


def test_the_first_font_that_knows_all_of_a_text_is_taken(monkeypatch):
    others = (FONTS / "missing.ttf", FONTS / "STIXNonUni.ttf")
    monkeypatch.setattr(room, "_other_files", lambda: others)
    typeface.cache_clear()
    assert Path(typeface(20, "sky الطريق שמיים").path).name == "DejaVuSans.ttf"
    assert Path(typeface(20, PRIVATE).path).name == "STIXNonUni.ttf"
    assert Path(typeface(20, f"{PRIVATE}\U0001f98a").path).name == "DejaVuSans.ttf"
    assert typeface(20).size == 20
    typeface.cache_clear()


def test_fonts_of_this_machine_are_looked_through_without_harm():
    assert isinstance(room._other_files(), tuple)
    assert typeface(12, "日本語").getlength("日本語") > 0
