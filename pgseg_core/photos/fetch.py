"""A photo from the web: http and https alone, within limits of time and size."""

import http.client
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from pgseg_core.errors import DataError
from pgseg_core.version import VERSION

MOST_BYTES = 200 * 2**20
"""Largest file that is taken from an address."""
_SECONDS = 30
"""For the connection, and for each piece of the answer ..."""
MOST_SECONDS = 300.0
"""... and for all of it: a server may send a byte now and then for days."""
_PIECE = 2**16


def fetch(address: str) -> bytes:
    """Return what an address holds.

    Args:
        address: Begins with http:// or https://.

    Raises:
        DataError: No answer, an answer that is an error, or one that is too large.
    """
    try:
        request = urllib.request.Request(address, headers={"User-Agent": f"pgseg/{VERSION}"})
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            data = _read(answer, address)
    except urllib.error.HTTPError as error:
        raise DataError(
            f"{address}: the server answers {error.code} {error.reason}", hint="Check the address."
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{address}: cannot be fetched ({reason})",
            hint="Is there a network? Otherwise save the photo, and give its path.",
        ) from None
    return data


def _read(answer: Any, address: str) -> bytes:
    """Read an answer piece by piece, within the limits of the whole."""
    started, pieces, size = time.monotonic(), [], 0
    while piece := answer.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise DataError(
                f"{address}: larger than {MOST_BYTES // 2**20} MiB",
                hint="Save the photo, make it smaller, and give its path.",
            )
        if time.monotonic() - started > MOST_SECONDS:
            raise DataError(
                f"{address}: not complete after {MOST_SECONDS:g} s",
                hint="Save the photo with a program that can wait, and give its path.",
            )
    return b"".join(pieces)


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone."""

    def redirect_request(self, *given: Any, **named: Any) -> urllib.request.Request | None:
        """Refuse an address of another scheme."""
        found = super().redirect_request(*given, **named)
        if found is not None and urlsplit(found.full_url).scheme not in {"http", "https"}:
            raise ValueError(f"it redirects to {found.full_url}")
        return found


_OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler(),
    urllib.request.UnknownHandler(),
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPDefaultErrorHandler(),
    urllib.request.HTTPErrorProcessor(),
    _WebOnly(),
):
    _OPENER.add_handler(_handler)
