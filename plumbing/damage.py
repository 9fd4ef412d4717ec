"""Whatever damaged or hostile content makes a reader raise becomes the one clear line."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def one_line(path: Path, again: str) -> Iterator[None]:
    """Turn what readers raise of content that nobody foresaw into a ValueError; those in words, and of the system, stay.

    Args:
        path: what is read.
        again: what the message tells to do.
    """
    try:
        yield
    except (ValueError, OSError):
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[-1].strip()
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {reason}): {again}") from error


def is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """Say whether a value out of JSON is a finite number within limits."""
    # Whole numbers of JSON can be larger than any float.
    finite = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return finite and low <= value <= high
