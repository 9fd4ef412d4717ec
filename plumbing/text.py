"""Text out of names and files, as terminals and files can take it."""

import re

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, which a terminal obeys, signs that turn the direction of what follows, and bytes that are no UTF-8."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 photograph`, `2,003 photographs`.

    Args:
        number: how many.
        noun: of one.
        plural: of several, where it is not the noun with an s behind.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Return a text whose control characters are shown and not obeyed; lines and tabs stay."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def utf8(text: str) -> str:
    r"""Return a name of a file as UTF-8 can hold it: bytes that are none become escapes, such as `\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
