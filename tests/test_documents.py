"""Documents of others: a value, or one sentence; never another exception."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from pgseg_core.documents import checked, decode_text, parse_json, parse_yaml, read_json
from pgseg_core.errors import ConfigError, DataError, PgsegError

DEEP = "[" * 5000 + "]" * 5000
LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


class Entry(TypedDict):
    step: int
    loss: float


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding_and_is_left_out(codec) -> None:
    assert decode_text("Bäume, 木".encode(codec), name="x") == "Bäume, 木"


def test_bytes_of_another_encoding_are_refused_with_their_place() -> None:
    with pytest.raises(DataError, match=r"x.txt: byte 1 is not UTF-8 text"):
        decode_text("süß".encode("latin-1"), name="x.txt")


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        "[NaN]",
        "[Infinity]",
        "[1e999]",
        "[" + "9" * 5000 + "]",
        "[9999999999999999999999]",
        '"\\ud800"',
        "{",
        "",
        "[" * 65 + "]" * 65,
    ],
)
def test_json_that_is_none_is_one_sentence(text) -> None:
    with pytest.raises(ConfigError, match=r"^x.json is n"):
        parse_json(text, name="x.json", error=ConfigError)


def test_numbers_up_to_64_bits_and_pairs_of_surrogates_are_read() -> None:
    text = '[18446744073709551615, -9223372036854775808, 1e308, "\\ud83d\\ude00"]'
    assert parse_json(text, name="x") == [2**64 - 1, -(2**63), 1e308, "😀"]


@pytest.mark.parametrize(
    "text",
    [DEEP, LAUGHS, "a: &a [*a]", "a: [", "? {a: 1}\n: 2", "a: 2020-99-99", "n: " + "9" * 5000],
)
def test_yaml_that_is_none_is_one_sentence(text) -> None:
    with pytest.raises(ConfigError, match=r"^x.yaml is n"):
        parse_yaml(text, name="x.yaml", error=ConfigError)


def test_yaml_aliases_are_read() -> None:
    assert parse_yaml("a: &a [1]\nb: *a", name="x") == {"a": [1], "b": [1]}


@pytest.mark.parametrize("value", [[], {"step": True, "loss": 1.0}, {"step": 1.5, "loss": 1}, None])
def test_a_value_of_another_type_is_one_sentence(value) -> None:
    with pytest.raises(DataError, match=r"^log.jsonl: "):
        checked(value, Entry, name="log.jsonl")


def test_a_value_of_the_right_type_comes_back_without_what_is_not_named() -> None:
    assert checked({"step": 1, "loss": 2, "x": 3}, Entry, name="x") == {"step": 1, "loss": 2.0}


def test_no_folder_and_no_device_is_read(tmp_path) -> None:
    with pytest.raises(DataError, match="is not a file"):
        read_json(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path / ("a" * 300))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()))
def test_any_bytes_are_a_value_or_an_error_of_ours(content) -> None:
    for parse in (parse_json, parse_yaml):
        with suppress(PgsegError):
            parse(content, name="x")
