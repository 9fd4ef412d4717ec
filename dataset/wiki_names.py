"""Names of pictures as wikis have them: `File:Foo bar.jpg`, addresses of their pages, and thumbnails.

Source: https://www.mediawiki.org/wiki/Manual:Page_title (spaces and underscores are one, the first letter has no case)
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from plumbing.text import folded_name

_PAGE = re.compile(
    r"(?:^|[/=])(?:file|image|media|datei|bild|fichier|archivo|ficheiro|arquivo|immagine|bestand|plik|fil|soubor|fájl|dosya|tiedosto|"
    r"файл|文件|檔案|ファイル|파일)\s?:\s*([^/]+)$",
    re.IGNORECASE,
)
_THUMBNAIL = re.compile(r"/thumb/[0-9a-f]/[0-9a-f]{2}/([^/]+)/[^/]+$")
_APART = re.compile(r"[ _]+")
_LOOSE = re.compile(r'[ _:?"*<>|]+')


def wiki_names(text: str) -> Iterator[str]:
    """Yield the names of files that the title or the address of a page, or the address of a thumbnail, stands for."""
    # A question mark belongs to a title, and begins the query of an address.
    plain = text.partition("?")[0] if "://" in text and "title=" not in text else text
    plain = unquote(plain)
    for pattern in (_PAGE, _THUMBNAIL):
        if match := pattern.search(plain):
            yield match[1].strip()


def title_of(name: str) -> str:
    """Return a name as wikis compare it: spaces are underscores, and case counts for nothing."""
    return _APART.sub("_", folded_name(next(wiki_names(name), name)))


def loose(name: str) -> str:
    """Return a name whose characters that files may not have, or that wikis and programs exchange, are all underscores."""
    return _LOOSE.sub("_", title_of(name)).strip("_")
