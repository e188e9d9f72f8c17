import json

import pytest

from pgseg_core.data.prepare.captions import clean_captions
from pgseg_core.data.prepare.grouping import grouped, survey
from pgseg_core.data.prepare.rows import WebAddress
from pgseg_core.data.prepare.sources import Columns, Reading, open_source
from pgseg_core.errors import ConfigError, DataError


def read(path, form=None, columns=None, **options):
    """What `prepare` gets of a source: every image once, with all of its captions."""
    source = open_source(path, Reading(columns=Columns(**columns or {}), **options), form)
    found = survey(source.read)
    images = list(grouped(source.read, found))
    assert found.num_images == len(images)
    return images


def captions(images):
    return {image.name: clean_captions(image.captions) for image in images}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "b.jpg").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "image\tcaption\na.jpg\tOne, two\nb.jpg\tThree\na.jpg\tFour\n"),
        ("t.csv", 'filepath,title\na.jpg,"One, two"\nb.jpg,Three\na.jpg,Four\n'),
        ("t.csv", 'File_Name;TEXT\na.jpg;"One, two"\nb.jpg;Three\na.jpg;Four\n'),
        ("t.csv", "path|caption|x\na.jpg|One, two|\nb.jpg|Three|1\na.jpg|Four|2\n"),
        (
            "t.jsonl",
            '{"image": "a.jpg", "caption": ["One, two", "Four"]}\n\n'
            '{"image": "b.jpg", "caption": "Three"}\n',
        ),
        ("T.TSV", "\ufeffimg\tsentence\r\na.jpg\t One,  two \r\nb.jpg\tThree\r\na.jpg\tFour\r\n"),
    ],
)
def test_kinds_of_table(folder, name, text):
    (folder / name).write_bytes(text.encode())
    rows = read(folder / name)
    assert [row.place for row in rows] == [folder / "a.jpg", folder / "images" / "b.jpg"]
    assert captions(rows) == {"a.jpg": ("One, two", "Four"), "b.jpg": ("Three",)}
    assert {row.split for row in rows} == {"train"}


def test_a_folder_with_one_table_is_that_table(folder):
    (folder / "t.tsv").write_text("image\tcaption\na.jpg\tOne\n")
    assert captions(read(folder)) == captions(read(folder / "t.tsv")) == {"a.jpg": ("One",)}


def test_quotes_in_tabs_count_around_a_whole_field_only(folder):
    text = 'image\tcaption\na.jpg\tthe "best" sign\na.jpg\t"open\na.jpg\t"he said ""hi"""\n'
    (folder / "t.tsv").write_text(text)
    assert captions(read(folder))["a.jpg"] == ('the "best" sign', '"open', 'he said "hi"')


def test_a_caption_over_several_lines_of_csv(folder):
    (folder / "t.csv").write_text('image,caption\na.jpg,"One\ntwo"\n')
    assert captions(read(folder))["a.jpg"] == ("One two",)


def test_splits_come_from_a_column_or_from_the_option(folder):
    (folder / "t.tsv").write_text("image\tsplit\tcaption\na.jpg\tval\tOne\nb.jpg\t\tTwo\n")
    assert [row.split for row in read(folder, split="rest")] == ["val", "rest"]


def test_empty_captions_are_dropped_and_the_image_stays(folder):
    (folder / "t.tsv").write_text("image\tcaption\na.jpg\t \na.jpg\nb.jpg\tTwo\n")
    assert captions(read(folder)) == {"a.jpg": (), "b.jpg": ("Two",)}


def test_a_line_without_an_image_is_an_image_without_a_place(folder):
    (folder / "t.tsv").write_text("image\tcaption\n\tOne\n\tTwo\na.jpg\tThree\n")
    assert [row.place for row in read(folder)] == [None, None, folder / "a.jpg"]


CC3M = "a very typical bus station\thttps://a.example/x?y=1\nsierra looked\thttp://b.example/z\n"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (CC3M, ("https://a.example/x?y=1", "a very typical bus station")),
        ("https://a.example/1\tOne\nhttps://a.example/2\tTwo\n", ("https://a.example/1", "One")),
        ("One\thttps://a.example/1\tbus,road\t/m/01,/m/2\t.9,.8\n", ("https://a.example/1", "One")),
    ],
)  # fmt: skip
def test_tables_of_addresses_without_a_header(folder, text, first):
    (folder / "Train_GCC.tsv").write_text(text)
    images = read(folder / "Train_GCC.tsv")
    assert len(images) == text.count("\n")
    assert images[0].place == WebAddress(first[0])
    assert images[0].captions == (first[1],)


def test_columns_without_names_are_named_by_their_place(folder):
    (folder / "t.tsv").write_text("https://a.example/1\tshort\ta longer caption\n")
    assert captions(read(folder, columns={"caption": "3"})) == {
        "https://a.example/1": ("a longer caption",)
    }
    with pytest.raises(DataError, match="no column '4'") as caught:
        read(folder, columns={"caption": "4"})
    assert caught.value.hint == "--caption-column can be: 1, 2, 3"


def test_parquet_in_one_file_and_in_a_folder_of_them(tmp_path):
    from pyarrow import parquet, table

    for part in (0, 1):
        rows = {"URL": [f"http://h.example/{part}"], "TEXT": [f"text {part}"], "similarity": [0.3]}
        parquet.write_table(table(rows), tmp_path / f"part-{part}.parquet")
    both = {"http://h.example/0": ("text 0",), "http://h.example/1": ("text 1",)}
    assert captions(read(tmp_path)) == both
    assert captions(read(tmp_path / "part-1.parquet")) == {"http://h.example/1": ("text 1",)}
    parquet.write_table(
        table({"image": [{"bytes": b"x"}], "caption": ["x"]}), tmp_path / "b.parquet"
    )
    with pytest.raises(DataError, match="holds no paths or addresses but the images"):
        read(tmp_path / "b.parquet")


def test_a_list_of_objects(folder):
    (folder / "t.json").write_text('[{"image": "a.jpg", "caption": ["One", "Two"]}]')
    assert captions(read(folder / "t.json")) == {"a.jpg": ("One", "Two")}


def test_lines_about_an_image_may_be_apart(folder):
    lines = [f"{name}.jpg\tcaption {n} of {name}" for n in range(3) for name in "abc"]
    (folder / "t.tsv").write_text("image\tcaption\n" + "\n".join([*lines, "d.jpg\tOne"]))
    found = captions(read(folder))
    assert list(found) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert found["b.jpg"] == ("caption 0 of b", "caption 1 of b", "caption 2 of b")


def test_named_columns(folder):
    (folder / "t.csv").write_text("image,caption,alt,which\na.jpg,x,One,b.jpg\n")
    rows = read(folder, columns={"image": "which", "caption": "alt"})
    assert captions(rows) == {"b.jpg": ("One",)}


@pytest.mark.parametrize("kind", ["image", "caption", "split"])
def test_a_named_column_that_is_not_there_lists_those_that_are(folder, kind):
    (folder / "t.csv").write_text("image,caption\na.jpg,x\n")
    with pytest.raises(DataError, match="no column 'alt'") as caught:
        read(folder, columns={kind: "alt"})
    assert caught.value.hint == f"--{kind}-column can be: image, caption"


@pytest.mark.parametrize(("header", "kind"), [("a,caption", "image"), ("image,b", "caption")])
def test_columns_of_unknown_names_must_be_named(folder, header, kind):
    (folder / "t.csv").write_text(f"{header}\na.jpg,x\n")
    with pytest.raises(DataError, match=f"which column holds the {kind}") as caught:
        read(folder)
    assert header.replace(",", ", ") in caught.value.hint


def test_images_start_from_the_folder_given(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "a.jpg").touch()
    (folder / "t.tsv").write_text(f"image\tcaption\na.jpg\tOne\n{folder}/a.jpg\tTwo\n")
    rows = read(folder, images=other)
    assert [row.place for row in rows] == [other / "a.jpg", folder / "a.jpg"]
    with pytest.raises(DataError, match="does not exist"):
        read(folder, images=other / "none")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", b"", "holds no rows"),
        ("t.csv", b"", "holds no rows"),
        ("t.jsonl", b"\n\n", "holds no rows"),
        ("t.tsv", b"image\tcaption\n", "holds no rows"),
        ("t.tsv", b"image\tcaption\n\xff\xfe\t1\n", "cannot be read"),
        ("t.csv", b"image,caption\na.jpg,\xff\n", "cannot be read"),
        ("t.csv", b'image,caption\na.jpg,"' + b"x" * 200_000 + b'"\n', "cannot be read"),
        ("t.jsonl", b'{"image": "a.jpg"\n', "line 1: not JSON"),
        ("t.jsonl", b'{"image": "a.jpg", "caption": "x"}\n[1]\n', "line 2: not an object"),
        ("t.tsv", b"image\tcaption\tsplit\na.jpg\tOne\t../x\n", "cannot be part of a file name"),
        ("t.parquet", b"", "not a parquet file"),
        ("t.xlsx", b"", "not a table"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(folder / name)
    assert name in caught.value.message
    assert caught.value.hint


def test_an_image_in_two_splits_is_refused(folder):
    text = "image\tsplit\tcaption\na.jpg\ttrain\tOne\na.jpg\ttest\tTwo\n"
    (folder / "t.tsv").write_text(text)
    with pytest.raises(
        DataError, match=r"line 3: .*a\.jpg is in split 'test', .*'train' at .*line 2"
    ):
        read(folder)


def test_text_files_beside_images(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "sub/a.jpg", "none.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "b.txt").write_text("\ufeffOne\n\n Two \n", "utf-8")
    (tmp_path / "sub" / "a.txt").write_text("Three")
    rows = read(tmp_path, split="val")
    assert captions(rows) == {"b.png": ("One", "Two"), "none.jpg": (), "sub/a.jpg": ("Three",)}
    assert {row.split for row in rows} == {"val"}


def test_images_without_any_text_are_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match="no captions for any") as caught:
        read(tmp_path)
    assert "a.txt" in caught.value.hint


def test_a_text_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"a\.txt cannot be read"):
        read(tmp_path)


def test_sources_that_are_none(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none")
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path)
    (tmp_path / "notes.md").touch()
    with pytest.raises(DataError, match="no image in"):
        read(tmp_path)
    with pytest.raises(DataError, match="holds nothing in the format flickr"):
        read(tmp_path, "flickr")
    with pytest.raises(ConfigError, match="--format xls is no format"):
        read(tmp_path, "xls")


def test_two_tables_in_a_folder_must_be_chosen_between(tmp_path):
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.tsv").touch()
    with pytest.raises(DataError, match=r"2 tables: a\.csv, b\.tsv"):
        read(tmp_path)


def test_captions_of_json_that_are_no_text(folder):
    record = {"image": "a.jpg", "caption": [None, 5, "One"]}
    (folder / "t.jsonl").write_text(json.dumps(record))
    assert captions(read(folder))["a.jpg"] == ("5", "One")
