"""Text out of names and files, as terminals and files can take it."""

import re
import unicodedata

UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, which a terminal obeys, signs that turn the direction of what follows, and bytes that are no UTF-8."""

_OF_ONE = {"are": "is", "were": "was", "have": "has", "do": "does"}


def plural(noun: str) -> str:
    """Return the plural of a regular noun: `steps`, `batches`, `countries`."""
    if noun.endswith(("ch", "sh", "s", "x")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def counted(number: int, noun: str, verb: str = "") -> str:
    """Return a number with its regular noun, and a verb given as `are` or `lie`: `1 photograph lies`, `2,003 photographs lie`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}{f' {agreeing(number, verb)}' if verb else ''}"


def agreeing(number: int, verb: str) -> str:
    """Return a verb, given as of many, as it is beside a number: `is` or `are`, `lies` or `lie`."""
    return _OF_ONE.get(verb, plural(verb)) if number == 1 else verb


def folded_name(name: str) -> str:
    """Return the name of a file without regard to case, and to how its accents are written, of which systems differ."""
    return unicodedata.normalize("NFC", name).casefold()


def printable(text: str) -> str:
    """Return a text whose control characters are shown and not obeyed; lines and tabs stay."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def utf8(text: str) -> str:
    r"""Return a name of a file as UTF-8 can hold it: bytes that are none become escapes, such as `\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
