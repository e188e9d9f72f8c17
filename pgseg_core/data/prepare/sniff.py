"""What a file is, by its first bytes: servers call anything an image, and error pages JPEGs."""

from collections.abc import Callable

SNIFFED = 32
"""Bytes that are enough to tell."""

_ISO_BRANDS = {b"avif", b"avis", b"mif1", b"msf1"}
_KINDS: dict[str, Callable[[bytes], bool]] = {
    "jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "avif": lambda head: head[4:8] == b"ftyp" and head[8:12] in _ISO_BRANDS,
    "gif": lambda head: head[:6] in {b"GIF87a", b"GIF89a"},
    "bmp": lambda head: head.startswith(b"BM"),
    "tiff": lambda head: head[:4] in {b"II*\0", b"MM\0*"},
}


def image_kind(head: bytes) -> str | None:
    """Return the kind of image that a file's first `SNIFFED` bytes begin; None for anything else.

    Only kinds that are safe to decode whoever made them are known: no vector formats, no scripts.
    """
    return next((kind for kind, is_kind in _KINDS.items() if is_kind(head)), None)


def other_kind(head: bytes) -> str:
    """Say what a file that is no image is, as a reason to leave it out."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "a web page, no image"
    return "no image"
