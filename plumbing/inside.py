"""Names of files that come out of files: they stay inside their folder, or are refused."""

import re
from pathlib import Path

LEADING_OUT = r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|\x00|^(\.?[/\\])*\.?$"
"""What a name of a file inside of a folder never has, on any system; an expression of Python and of Arrow."""

DEVICES = r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?"
"""Names that no file of Windows has, in any case."""


def inside(folder: Path, name: object) -> Path:
    """Return a file of a folder by its relative name.

    Raises:
        ValueError: the name is not text, is empty or absolute, on any system, or leads out of the folder.
    """
    if not isinstance(name, str) or not is_relative(name):
        raise ValueError(f"{name!r} is not the name of a file inside {folder}: make the file that names it again")
    return folder / name


def is_relative(name: str) -> bool:
    """Say whether a name leads to something below, on any system."""
    return re.search(LEADING_OUT, name) is None


def is_plain(name: str) -> bool:
    """Say whether a name is that of a file, or a part of one, without folders."""
    return is_relative(name) and "/" not in name and "\\" not in name


def unreserved(name: str) -> str:
    """Return the name of a file with `_` before it where Windows keeps it for a device.

    >>> unreserved("Aux.jpg"), unreserved("auxiliary.jpg")
    ('_Aux.jpg', 'auxiliary.jpg')
    """
    return f"_{name}" if re.fullmatch(DEVICES, name, flags=re.IGNORECASE) else name


def remove_inside(folder: Path, name: object) -> bool:
    """Remove a file of a folder by its relative name; say whether that was allowed.

    Nothing is removed behind a link that leads out of the folder, or in another folder.
    """
    try:
        path = inside(folder, name)
    except ValueError:
        return False
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        return False
    path.unlink(missing_ok=True)
    return True
