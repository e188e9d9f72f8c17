import pickle
import subprocess
import sys
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.errors import ConfigError
from pgseg_core.text import byte_pairs
from pgseg_core.text.byte_pairs import END_TOKEN, START_TOKEN
from pgseg_core.text.tokenizer import Tokenizer
from tests.shared_data import shared

NASTY = [
    "",
    " ",
    "a dog",
    "A  DOG\n\twith\rspaces",
    "naïve café — “quotes” … 100% £5",
    "北京 東京 서울 नमस्ते مرحبا",
    "🐶🏽 dog 👩‍👩‍👧‍👦 zero‍width",
    "&lt;b&gt; &amp;amp; &eacute;",
    "ï¿½ mojibake â€œhelloâ€\x9d",
    "<start_of_text> and <end_of_text> inside",
    "it's we'll they're 12345",
    "word " * 1000,
    "x" * 5000,
    "\x00\x07 control \u202e reversed",
]


@cache
def _reference():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@pytest.fixture
def reference():
    return _reference()


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty_strings_get_open_clips_ids(text, reference):
    ours = Tokenizer(77)([text])
    assert torch.equal(ours, reference([text], context_length=77))


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(), min_size=1, max_size=4), length=st.integers(3, 90))
def test_any_text_gets_open_clips_ids(texts, length):
    reference = _reference()
    tokens = Tokenizer(length)(texts)
    assert torch.equal(tokens, reference(texts, context_length=length))
    assert tokens.shape == (len(texts), length)
    assert (tokens[:, 0] == START_TOKEN).all()
    assert (tokens == END_TOKEN).any(dim=1).all()


def test_flickr8k_captions_get_open_clips_ids(reference):
    lines = shared("data", "flickr8k", "captions.tsv").read_text("utf-8").splitlines()[1:]
    captions = [line.split("\t")[2] for line in lines[::10]]
    assert torch.equal(Tokenizer(77)(captions), reference(captions, context_length=77))


def test_a_long_caption_is_cut_and_keeps_its_end():
    tokens = Tokenizer(5)(["one two three four five six"])[0]
    assert tokens[0] == START_TOKEN
    assert tokens[-1] == END_TOKEN


def test_no_captions_give_an_empty_tensor():
    assert Tokenizer(9)([]).shape == (0, 9)


def test_too_short_a_context_is_refused():
    with pytest.raises(ConfigError, match="context_length is 2"):
        Tokenizer(2)


def test_survives_pickling():
    tokenizer = pickle.loads(pickle.dumps(Tokenizer(12)))
    assert torch.equal(tokenizer(["a dog"]), Tokenizer(12)(["a dog"]))


def test_remembered_words_do_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(byte_pairs, "_MAX_REMEMBERED_WORDS", 10)
    tokenizer = Tokenizer(77)
    before = tokenizer(["a black dog <end_of_text> runs"])
    for number in range(50):
        tokenizer([f"unheard{number}of"])
    assert len(byte_pairs._remembered_words()) <= 10
    assert torch.equal(before, tokenizer(["a black dog <end_of_text> runs"]))


def test_ids_are_found_without_torch_and_open_clip():
    script = (
        "import sys; from pgseg_core.text.byte_pairs import text_ids; text_ids('a dog, naïve');"
        "sys.exit(bool({'torch', 'numpy', 'open_clip'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
