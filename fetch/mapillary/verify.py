"""Stage `verify`: hold the files against the state, and mend what does not agree."""

import logging

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.export import export
from fetch.mapillary.state import PARTIAL, State
from plumbing.files import sha256
from plumbing.progress import progress

log = logging.getLogger(__name__)


def verify(config: MapillaryConfig, state: State) -> dict[str, int]:
    """Find pictures that are missing or changed, which `run` then fetches again, and files that belong to none.

    Returns:
        How many of each: `sound`, `missing`, `changed`, `stray`.
    """
    counts = {"sound": 0, "missing": 0, "changed": 0, "stray": 0}
    known = state.rows("select id, path, sha256 from picture order by path")
    broken = []
    for image, path, expected in progress(known, "verifying", "picture"):
        file = config.out / path
        what = "missing" if not file.is_file() else "sound" if sha256(file) == expected else "changed"
        counts[what] += 1
        if what != "sound":
            broken.append(image)
            file.unlink(missing_ok=True)
    paths = {path for _, path, _ in known}
    strays = [file for file in (config.out / "images").rglob("*") if file.is_file()]
    strays = [file for file in strays if file.relative_to(config.out).as_posix() not in paths]
    strays += [file for file in (config.out / PARTIAL).glob("*") if file.is_file()]
    for file in strays:
        file.unlink()
    counts["stray"] = len(strays)
    if broken:
        with state.transaction() as db:
            marks = [(image,) for image in broken]
            db.executemany("delete from picture where id = ?", marks)
            db.executemany("update candidate set state = 'new', reason = '' where id = ? and state != 'gone'", marks)
        export(config, state)
    log.info("verify: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    if broken:
        log.info("verify: `python -m fetch mapillary run` fetches missing and changed pictures again")
    return counts
