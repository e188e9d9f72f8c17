from dataclasses import replace

import pytest

from pgseg_core.data.segmentation import IndexMaskSet
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.evaluation.protocols import load_protocol
from pgseg_core.evaluation.resolve import Overrides, Question, ask
from pgseg_core.text.vocabulary import builtin_vocabulary

VOC = IndexMaskSet("voc12", ("background", *builtin_vocabulary("voc12").names), "voc12", ())
VOC20 = IndexMaskSet("voc20", builtin_vocabulary("voc12").names, "voc12", ())


def asked(dataset: IndexMaskSet = VOC, protocol: str = "groupvit", **wanted: object) -> Question:
    return ask(dataset, load_protocol(protocol), Overrides(**wanted))


def words(question: Question) -> dict[str, tuple[str, ...]]:
    return dict(zip(question.class_names, question.wordings, strict=True))


def test_groupvit_renames_and_leaves_the_background_without_prompt() -> None:
    question = asked()
    assert words(question)["background"] == ()
    assert words(question)["diningtable"] == ("table",)
    assert words(question)["cat"] == ("cat",)
    assert (question.threshold, question.templates) == (0.95, "simple")
    assert not question.prompts_background


def test_tcl_asks_with_the_sets_own_names() -> None:
    for dataset in (VOC, VOC20):
        question = asked(dataset, "tcl")
        assert words(question)["diningtable"] == ("diningtable",)
    assert asked(VOC, "tcl").threshold == 0.5
    assert asked(VOC20, "tcl").threshold is None


def test_refined_masks_have_a_threshold_of_their_own_in_tcl() -> None:
    assert asked(protocol="tcl", refine="pamr").threshold == 0.4
    assert asked(protocol="tcl", refine="pamr", background="0.7").threshold == 0.7
    assert asked(refine="pamr").threshold == 0.95
    assert asked(protocol="tcl", refine="crf").threshold == 0.5
    with pytest.raises(ConfigError, match=r"(?s)'blur'.*none, pamr, crf"):
        asked(refine="blur")


def test_sclip_asks_for_stuff_words_as_background() -> None:
    question = asked(VOC, "sclip")
    assert question.prompts_background
    assert words(question)["background"][:3] == ("sky", "wall", "tree")
    assert words(question)["tvmonitor"][0] == "television monitor"
    assert (question.logit_scale, question.threshold) == (65, 0.1)
    assert "background" not in words(asked(VOC20, "sclip"))
    context = IndexMaskSet(
        "context60", ("background", *builtin_vocabulary("context").names), "context", ()
    )
    assert words(asked(context, "sclip"))["background"] == ("background",)


def test_the_background_can_be_chosen() -> None:
    assert asked(background="0.5").threshold == 0.5
    assert asked(background="0.5").threshold_from == "given"
    assert asked(background="none").threshold is None
    assert asked(system="groupvit").threshold_from == "protocol groupvit, system groupvit"
    for wrong in ("much", "1.5", "nan"):
        with pytest.raises(ConfigError, match=f"--background {wrong}: no threshold"):
            asked(background=wrong)
    with pytest.raises(ConfigError, match="voc20 has no background class"):
        asked(VOC20, background="0.5")


def test_a_class_file_gives_other_wordings_by_name(tmp_path) -> None:
    file = tmp_path / "words.txt"
    names = [name for name in reversed(VOC20.class_names) if name != "cat"]
    file.write_text("\n".join([*names, "cat: kitten, tomcat"]))
    question = asked(classes=file)
    assert words(question)["cat"] == ("kitten", "tomcat")
    assert question.class_names == VOC.class_names
    assert question.class_hash != asked().class_hash
    file.write_text("\n".join(names))
    with pytest.raises(DataError, match=r"words\.txt has no class 'cat', which voc12 has"):
        asked(classes=file)
    file.write_text("\n".join([*names, "cat", "yeti"]))
    with pytest.raises(DataError, match=r"has a class 'yeti', which is not asked for on voc12"):
        asked(classes=file)


def test_the_hash_of_templates_is_about_their_text(tmp_path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a photo of a {}.\n")
    simple = asked()
    assert asked(templates=str(file)).templates_hash == simple.templates_hash
    assert asked(templates="subset").templates_hash != simple.templates_hash
    with pytest.raises(DataError, match="gone"):
        asked(templates="gone")


def test_a_users_own_folder_keeps_its_wordings_everywhere(tmp_path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("cup: mug, cup\ntree\n")
    own = replace(VOC20, name="folder", class_names=("cup", "tree"), vocabulary=f"@{file}")
    for protocol in ("groupvit", "tcl", "sclip"):
        assert words(asked(own, protocol))["cup"] == ("mug", "cup")


def test_a_folders_background_is_asked_for_only_where_the_protocol_does(tmp_path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("Background: sky, wall\ntree\n")
    names = ("Background", "tree")
    own = replace(VOC, name="folder", class_names=names, vocabulary=f"@{file}")
    assert asked(own).wordings == ((), ("tree",))
    assert asked(own, "tcl").wordings == ((), ("tree",))
    assert asked(own, "sclip").wordings == (("sky", "wall"), ("tree",))


def test_background_words_are_none_of_the_sets_classes() -> None:
    question = asked(background_words="grass, Cat, table, sky")
    assert question.background_words.words == ("grass", "sky")
    assert question.left_out == ("Cat", "table")
    assert question.class_hash == asked().class_hash
    assert asked().background_words.words == ()
    with pytest.raises(ConfigError, match="--background-words: voc20 has no background class"):
        asked(VOC20, background_words="stuff")
    assert not asked(VOC20, background_words="none").background_words.words
