"""From a row and the bytes of its image to a sample or a reason: pure, and run on many threads."""

import hashlib

from pgseg_core.data.prepare.duplicates import fingerprint
from pgseg_core.data.prepare.encode import to_stored_jpeg
from pgseg_core.data.prepare.options import PrepareOptions
from pgseg_core.data.prepare.rows import Row, TarPlace, WebAddress
from pgseg_core.data.prepare.samples import Decision, Rejected, Sample
from pgseg_core.errors import DataError
from pgseg_core.photos.images import open_header


def examine_text(row: Row, options: PrepareOptions) -> Rejected | None:
    """Return why a row is left out before its image is looked at; None where it is not."""
    reason = None
    if not row.captions:
        reason = "no caption"
    elif not any(map(options.filters.allows_caption, row.captions)):
        reason = "no caption of a wanted length"
    elif row.place is None:
        reason = "no image named"
    return None if reason is None else Rejected(row.position, row.source, reason, row.name)


def examine_local(row: Row, options: PrepareOptions) -> Decision:
    """Read a row's image from a file or a tar, and examine it."""
    try:
        match row.place:
            case TarPlace(tar, offset, size):
                with tar.open("rb") as file:
                    file.seek(offset)
                    content = file.read(size)
            case WebAddress() | None:
                raise TypeError(f"{row.name} lies in no file")
            case path:
                content = path.read_bytes()
    except OSError:
        return Rejected(row.position, row.source, "missing image", row.name)
    return examine_image(row, content, options)


def examine_image(row: Row, content: bytes, options: PrepareOptions) -> Decision:
    """Filter, resize and encode a row's image.

    Args:
        row: With a caption of a wanted length.
        content: The bytes of the image's file.
        options: How.
    """
    try:
        width, height = _header_size(content)
        reason = options.filters.refusal(width, height)
        if reason is not None:
            return Rejected(row.position, row.source, reason, row.name)
        stored = to_stored_jpeg(content, name=row.name, short_side=options.short_side)
    except DataError:
        return Rejected(row.position, row.source, "unreadable image", row.name)
    digest = hashlib.sha256(content).hexdigest()
    looks = fingerprint(stored.content) if options.filters.duplicates == "near" else None
    details = {
        "width": stored.width,
        "height": stored.height,
        "original_width": width,
        "original_height": height,
        "sha256": digest,
    }
    return Sample(
        position=row.position,
        source=row.source,
        split=row.split,
        name=row.name,
        captions=tuple(filter(options.filters.allows_caption, row.captions)),
        image=stored.content,
        details=details if looks is None else details | {"fingerprint": f"{looks:016x}"},
        digest=digest,
        fingerprint=looks,
    )


def _header_size(content: bytes) -> tuple[int, int]:
    """Return the size an image claims; nothing is decoded.

    Raises:
        DataError: It is no image.
    """
    try:
        with open_header(content) as header:
            return header.size
    except Exception as error:  # Pillow's parsers raise whatever they trip over
        raise DataError("not an image") from error
