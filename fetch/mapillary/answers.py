"""What the service's answers mean: errors by status and code, metadata as JSON."""

import json
from typing import Any

from fetch.client import Answer, Retry
from fetch.mapillary.errors import Expired, Gone, Refused

BAD_TOKEN, BLOCKED, BUSY, BAD_ARGUMENT = 190, 368, {4, 17, 32, 613}, 100
NO_SUCH_OBJECT = 33


def check_status(surface: str, answer: Answer, attempt: int) -> None:
    """Return where an answer is one, and raise what it means where it is not.

    Raises:
        Retry: another try may work.
        Refused: the token is bad or the address is blocked.
        Gone: there is no such picture.
        Expired: the signed address of a picture has run out.
        ValueError: the request itself is refused, which is a fault of this software.
    """
    status = answer.status
    error = error_of(answer.body) if surface != "images" else {}
    code, said = error.get("code"), str(error.get("message", "")) or f"HTTP {status}"
    if status == 200 and not error:
        return
    if surface == "images":
        if 300 <= status < 500 and status not in (408, 429):
            raise Expired(f"HTTP {status} for the address of a picture")
    elif code == BAD_TOKEN or status == 401:
        raise Refused(f"the token is not accepted ({said}): check MAPILLARY_TOKEN or --token-file")
    elif code == BLOCKED:
        raise Refused(f"this address is blocked for a while ({said}): wait some hours, then ask more gently")
    elif code == BAD_ARGUMENT and error.get("error_subcode") == NO_SUCH_OBJECT:
        raise Gone(said)
    if status == 429 or code in BUSY:
        raise Retry(f"too many requests ({said})", answer.retry_after_s, slow_down=True)
    if status == 403:
        raise Refused(f"the service forbids this request ({said})")
    if status >= 500 or status in (200, 408) or (status == 400 and attempt == 0 and code != BAD_ARGUMENT):
        raise Retry(f"HTTP {status} ({said})")
    raise ValueError(f"the service refuses a request of this software: HTTP {status} ({said})")


def error_of(body: bytes) -> dict[str, Any]:
    """Return the `error` of a body, empty where it has none."""
    if b'"error"' not in body:
        return {}
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def read_json(answer: Answer) -> dict[str, Any]:
    """Return the object of an answer.

    Raises:
        Retry: it is not a JSON object: an error page, or cut short.
    """
    try:
        value = json.loads(answer.body)
    except ValueError:
        raise Retry("an answer that is not JSON") from None
    if not isinstance(value, dict):
        raise Retry("an answer that is not a JSON object")
    return value
