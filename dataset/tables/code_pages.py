"""Text of tables in whatever encoding: told by its first bytes, or by the headings that a code page gives."""

import codecs
import logging
from pathlib import Path

from dataset.tables.headings import TITLE_LINES, known_headings
from dataset.tables.rows import SEPARATORS, cells_of

log = logging.getLogger(__name__)

SAMPLE_BYTES = 1 << 16
CODE_PAGES = (
    "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "cp1255", "cp1256", "cp932", "gb18030", "big5", "cp949", "koi8-r",
    "cp866", "mac_roman", "cp850", "cp437", "cp852", "mac_cyrillic", "cp874",
)  # fmt: skip
"""Of Windows and others, in the order of preference; one after the first has to give more headings that are known."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes, path: Path) -> str:
    """Return text in UTF-8, UTF-16, UTF-32 or the code page that gives the most headings that are known.

    Raises:
        ValueError: it is not text.
    """
    encoding = _unicode(content)
    if encoding is None and b"\0" in content[:1000]:
        raise ValueError(f"{path} is not text and no kind of table that is known: save it as CSV in UTF-8")
    try:
        return content.decode(encoding or "utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ValueError(
                f"{path} is damaged {encoding} text ({error.reason}): save the table as CSV in UTF-8"
            ) from None
    known = {page: _known(content, page) for page in CODE_PAGES}
    better = [page for page in CODE_PAGES if known[page] > known[CODE_PAGES[0]]]
    for page in [*sorted(better, key=lambda page: -known[page]), CODE_PAGES[0]]:
        try:
            text = content.decode(page)
        except UnicodeDecodeError:
            continue
        name = f"Windows-{page[2:]}" if page.startswith("cp12") else page
        log.info(f"{path} is not UTF-8 and is read as {name}; save it as UTF-8 if letters are wrong")
        return text
    raise ValueError(f"{path} is neither UTF-8, UTF-16 nor Windows-1252 text: save the table as CSV in UTF-8")


def start_of(content: bytes) -> bytes:
    """Return how a file begins, in UTF-8 where it is UTF-16 or UTF-32, without marks and white space."""
    encoding = _unicode(content[:4000])
    start = content[:4000].decode(encoding, "ignore").encode() if encoding else content[:4000]
    return start.lstrip(b"\xef\xbb\xbf \t\r\n\x1e")


def _unicode(content: bytes) -> str | None:
    """Return the encoding that marks or empty bytes tell, None of other text."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:1000]:
        # A heading in Latin letters has every other byte empty.
        half = len(content[:1000]) // 2
        if content[1:1000:2].count(0) * 2 > half:
            return "utf-16-le"
        return "utf-16-be" if content[0:1000:2].count(0) * 2 > half else None
    return encoding


def _known(content: bytes, page: str) -> int:
    """Return how many headings are known in the line that has the most, in a code page."""
    lines = content[:SAMPLE_BYTES].decode(page, "ignore").splitlines()[:TITLE_LINES]
    return max(
        (len(set(known_headings(cells_of(line, mark)))) for line in lines for mark in SEPARATORS if mark in line),
        default=0,
    )
