"""Names of files that come out of files: they stay inside their folder, or are refused."""

from pathlib import Path, PureWindowsPath


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
    if not name or "\0" in name:
        return False
    windows = PureWindowsPath(name)
    parts = [part for part in windows.parts if part != "."]
    return bool(parts) and not windows.drive and not windows.root and ".." not in parts


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
