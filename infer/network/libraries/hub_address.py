"""Whether the Hugging Face hub can be reached, told within seconds: its own client tries again for minutes."""

import os
import threading
import urllib.error
import urllib.request
from functools import cache

ENDPOINT = "https://huggingface.co"
PATIENCE_S = 5.0
"""A hub that does not answer at all in this time is out of reach."""
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables by which a user keeps the hub's client from asking."""


def hub_address() -> str:
    """Return the address of the hub, or of the mirror that the environment names."""
    return os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")


def hub_answers() -> bool:
    """Say whether the hub may be asked and answers; of each address it is asked once."""
    if any(os.environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON") for name in OFFLINE):
        return False
    return _answers(hub_address())


@cache
def _answers(address: str) -> bool:
    found: list[bool] = []
    # Looking up a name has no time limit of its own, so the whole question stands in a thread.
    asking = threading.Thread(target=lambda: found.append(_asked(address)), daemon=True)
    asking.start()
    asking.join(PATIENCE_S + 1)
    return found == [True]


def _asked(address: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE_S):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
