"""CLIP's byte-pair tokenizer: captions to the ids that every CLIP-style text encoder was made for.

The vocabulary and the merging are open_clip's own file, so the ids are its ids. Importing the whole
of open_clip costs seconds (it brings torchvision and timm), and nothing here needs the rest of it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from pgseg_core.errors import ConfigError

START_TOKEN = 49406
"""Id in front of every caption."""
END_TOKEN = 49407
"""Id behind every caption; the text encoder reads the caption's feature there."""
PAD_TOKEN = 0
"""Id of the empty places behind the end token."""

# Words whose byte pairs are remembered; web captions hold millions of different ones.
_MAX_REMEMBERED_WORDS = 100_000


@dataclass(frozen=True)
class Tokenizer:
    """Captions to byte-pair ids; small to pickle, so that reader processes can have their own.

    Attributes:
        context_length: Tokens a caption may have (t), start and end tokens included; at least 3.
    """

    context_length: int = 77

    def __post_init__(self) -> None:
        if self.context_length < 3:
            raise ConfigError(
                f"model.text.context_length is {self.context_length}: there is no room for a word",
                hint="Use 3 or more; CLIP uses 77.",
            )

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b t"]:
        """Turn captions into ids, exactly as open_clip does.

        Args:
            texts: b captions in any language and of any length, empty ones included.

        Returns:
            int64 ids in [0, 49407]: start, words, end, then 0. A caption that is too long is cut
            and keeps its end token.
        """
        if not texts:
            return torch.zeros(0, self.context_length, dtype=torch.long)
        encoder = _byte_pair_encoder()
        tokens: Tensor = encoder(list(texts), context_length=self.context_length)
        if len(encoder.cache) > _MAX_REMEMBERED_WORDS:
            _forget_words(encoder)
        return tokens


@cache
def _byte_pair_encoder() -> Any:
    return _open_clip_tokenizer_module().SimpleTokenizer()


def _forget_words(encoder: Any) -> None:
    """Empty open_clip's word memory, which otherwise grows with every new word for ever."""
    special = {encoder.decoder[token] for token in encoder.all_special_ids}
    encoder.cache = {word: word for word in special}


def _open_clip_tokenizer_module() -> ModuleType:
    """Return `open_clip.tokenizer`, if possible without running the package around it."""
    if "open_clip.tokenizer" in sys.modules:
        return sys.modules["open_clip.tokenizer"]
    package = importlib.util.find_spec("open_clip")
    if package is not None and package.origin is not None:
        file = Path(package.origin).with_name("tokenizer.py")
        if file.is_file():
            try:
                return _run_module(file)
            except ImportError:
                pass  # A release whose tokenizer needs its package: take the long way.
    return importlib.import_module("open_clip.tokenizer")


def _run_module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pgseg_open_clip_tokenizer", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
