"""A photo from the web: http and https alone, within limits of time and size."""

import http.client
import urllib.error
import urllib.request

from pgseg_core.errors import DataError
from pgseg_core.version import VERSION

MOST_BYTES = 200 * 2**20
"""Largest file that is taken from an address."""
_SECONDS = 30


def fetch(address: str) -> bytes:
    """Return what an address holds.

    Args:
        address: Begins with http:// or https://.

    Raises:
        DataError: No answer, an answer that is an error, or one that is too large.
    """
    try:
        request = urllib.request.Request(address, headers={"User-Agent": f"pgseg/{VERSION}"})
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            data: bytes = answer.read(MOST_BYTES + 1)
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
    if len(data) > MOST_BYTES:
        raise DataError(
            f"{address}: larger than {MOST_BYTES // 2**20} MiB",
            hint="Save the photo, make it smaller, and give its path.",
        )
    return data
