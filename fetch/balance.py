"""`python -m fetch balance`: a list of photographs whose places are spread as wanted.

The rule is that of "Lost & Found: Predicting Locations from Images" (Schlumberger, Stöckli, Sigrist 2024, section
"Mapping to a distribution"): countries must hold at least 0.75 % of the data (threshold), since rare ones would bound how
many pictures all others may have; a slack factor of 0.75 lets those in that could almost meet the distribution; and the
result is a committed list of names. The report gives the two numbers and the words, not the arithmetic; that is ours,
see `quotas`.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import content_hash, coordinates, has_coordinates, read_manifest
from fetch.config import BalanceConfig
from fetch.dataset_counts import gini
from fetch.subset import Subset, ids_hash, pictures_hash, write_subset
from geocells import grid
from geocells.land import land_table
from plumbing.text import counted

MIN_SHARE = 0.0075
TRIED = 500
"""At most so many thresholds are tried for cells."""
SHOWN = 8
"""Rows of the report for groups that lose most."""

log = logging.getLogger(__name__)


def run(config: BalanceConfig) -> None:
    """Write a list, and say how places are spread before and after.

    Raises:
        ValueError: there is not a dataset, the table of shares cannot be used, or no group is large enough.
    """
    photos = read_manifest(config.data)
    group, target = targets(config, photos)
    have = np.bincount(group[group >= 0], minlength=len(target))
    min_share = config.min_share
    if min_share is None:
        min_share = MIN_SHARE
        if config.target == "cell":
            min_share = best_min_share(have, target.to_numpy(), config.slack, config.keep_short)
    quota = quotas(have, target.to_numpy(), min_share, config.slack, config.keep_short)
    chosen = choose(photos["id"].astype(str).to_numpy(dtype=object), group, quota, config.seed)
    subset = _subset(config, photos, chosen, min_share)
    write_subset(config.out, subset)
    print(_table(target, have, quota, len(photos)))
    log.info(
        f"{config.out}: {len(subset.ids):,} of {counted(len(photos), 'photograph')}, SHA-256 {ids_hash(subset.ids)[:12]}…"
    )
    log.info(f"`python -m fetch pull {config.out} --from {config.data} --out …` makes a dataset of them")


def targets(config: BalanceConfig, photos: pd.DataFrame) -> tuple[NDArray[np.int64], pd.Series]:
    """Return for each photograph its group, -1 where it has none that is wanted; and the share each group is to have.

    Country-only photographs are in no cell.

    Returns:
        (N,) places in the second; its index are names of cells or codes of countries, its values sum to one.
    """
    level = config.level
    if config.target in ("cell", "country"):
        name = _cells(photos, level) if config.target == "cell" else _countries(photos)
        known = np.unique(name[name != ""].astype(str))
        if not len(known):
            raise ValueError(f"{config.data} has no photograph on land: --target country has nothing to go by")
        wanted = pd.Series(1 / len(known), index=known)
    else:
        wanted, level = _read_shares(Path(config.target))
        name = _cells(photos, level) if level else _countries(photos)
    group = pd.Index(wanted.index).get_indexer(pd.Index(name))
    if not (group >= 0).any():
        raise ValueError(f"{config.target} names no place in which {config.data} has photographs")
    return group.astype(np.int64), wanted


def _cells(photos: pd.DataFrame, level: int) -> NDArray[np.object_]:
    """Return the cell of each photograph, empty where its coordinates are not known."""
    here = has_coordinates(photos)
    cells, row = np.unique(grid.encode(coordinates(photos[here]), level), return_inverse=True)
    names = np.full(len(photos), "", dtype=object)
    names[here] = np.array(grid.format_ids(cells, level), dtype=object)[row]
    return names


def _countries(photos: pd.DataFrame) -> NDArray[np.object_]:
    """Return the country with most land in each photograph's L8 cell, or the one its source gives; empty on the high sea."""
    here = has_coordinates(photos)
    names = photos["country"].fillna("").to_numpy(dtype=object, copy=True)
    names[here] = land_table().country[grid.encode(coordinates(photos[here]), grid.TABLE_LEVEL)]
    return names


def _read_shares(path: Path) -> tuple[pd.Series, int]:
    """Return the shares of a table, and the level of its cells, 0 for countries."""
    if not path.is_file():
        raise ValueError(f"--target is cell, country or a CSV file of shares; {path} does not exist")
    try:
        # The code NA is Namibia.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a table ({str(error).strip()})") from None
    table = table.rename(columns=lambda name: str(name).strip().casefold())
    kind = next((name for name in ("country", "cell") if name in table), None)
    if kind is None or "share" not in table:
        raise ValueError(f"{path} needs the columns country (or cell) and share; it has: {', '.join(table.columns)}")
    names, share = table[kind].str.strip(), pd.to_numeric(table["share"], errors="coerce")
    bad = names[~(share.ge(0) & np.isfinite(share))]
    if len(bad):
        raise ValueError(f"{path}: the share of {bad.iloc[0]} is not a number of 0 or more")
    if not share.sum() > 0:
        raise ValueError(f"{path}: all shares are 0")
    level = 0
    if kind == "cell":
        parsed = [_parse_cell(path, name) for name in names]
        levels = {level for _, level in parsed}
        if len(levels) > 1:
            raise ValueError(f"{path} mixes cells of the levels {', '.join(map(str, sorted(levels)))}: give one level")
        level = levels.pop()
        names = pd.Series([grid.format_id(cell, level) for cell, _ in parsed])
    else:
        names = names.str.upper()
    if names.duplicated().any():
        raise ValueError(f"{path} names {names[names.duplicated()].iloc[0]} twice")
    wanted = pd.Series((share / share.sum()).to_numpy(), index=names.to_numpy())
    return wanted[wanted > 0], level


def _parse_cell(path: Path, name: str) -> tuple[int, int]:
    try:
        return grid.parse_id(name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def quotas(
    have: NDArray[np.int64], target: NDArray[np.float64], min_share: float, slack: float, keep_short: bool = False
) -> NDArray[np.int64]:
    """Return how many photographs each group gives.

    Anchors are the groups with at least `min_share` of all photographs. The subset is the largest in which every anchor
    meets its target: `size = min(have / target)` over them. Another group is in when it has at least `slack` of what
    it should give, `size * target`, and gives all it can; one below that is out, or gives all it has (`keep_short`).

    Args:
        have: (G,) photographs of each group.
        target: (G,) positive shares.
        min_share: part of one.
        slack: part of one.
        keep_short: no group is left out.

    Raises:
        ValueError: there is no anchor.
    """
    anchor = (have > 0) & (have >= min_share * have.sum())
    if not anchor.any():
        largest = have.max() / max(1, have.sum())
        raise ValueError(f"no group has --min-share {min_share:g} of the photographs, the largest has {largest:.2g}")
    wanted = target * np.min(have[anchor] / target[anchor])
    stays = (have > 0) & (anchor | (have >= slack * wanted) | keep_short)
    return np.where(stays, np.minimum(have, np.maximum(1, np.round(wanted))), 0).astype(np.int64)


def best_min_share(
    have: NDArray[np.int64], target: NDArray[np.float64], slack: float, keep_short: bool = False
) -> float:
    """Return the threshold that keeps most photographs, the lowest of several; a fixed one suits no other level."""
    counts = np.unique(have[have > 0])
    if len(counts) > TRIED:
        counts = np.unique(counts[np.linspace(0, len(counts) - 1, TRIED).astype(int)])
    # Half a photograph less, so that rounding leaves no anchor out.
    shares = (counts - 0.5) / have.sum()
    kept = [quotas(have, target, share, slack, keep_short).sum() for share in shares]
    return float(shares[int(np.argmax(kept))])


def choose(
    ids: NDArray[np.object_], group: NDArray[np.int64], quota: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Return which photographs are drawn; it depends on ids and the seed, not on the order of the rows."""
    digests = (hashlib.blake2b(f"{seed}:{photo_id}".encode(), digest_size=8).digest() for photo_id in ids)
    draw = np.fromiter((int.from_bytes(digest, "big") for digest in digests), dtype=np.uint64, count=len(ids))
    order = np.lexsort((draw, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-2))
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids)) - np.repeat(first, np.diff([*first, len(ids)]))
    return (group >= 0) & (place < quota[np.maximum(group, 0)])


def _subset(config: BalanceConfig, photos: pd.DataFrame, chosen: NDArray[np.bool_], min_share: float) -> Subset:
    """Return the list, with how it was made."""
    rows = photos[chosen].sort_values("id")
    known = rows["sha256"].notna().all()
    about = {
        "dataset": content_hash(photos),
        "target": config.target if config.target != "cell" else f"cell, level {config.level}",
        "min-share": f"{min_share:.6g}",
        "slack": f"{config.slack:g}" + (", short groups kept" if config.keep_short else ""),
        "seed": str(config.seed),
    }
    hashes = pictures_hash(dict(zip(rows["id"], rows["sha256"], strict=True))) if known else ""
    return Subset(tuple(rows["id"].astype(str)), hashes, about)


def _away(count: NDArray[np.int64], target: NDArray[np.float64]) -> float:
    """Return which part of the photographs would have to lie in other groups, of those that hold any."""
    return float(0.5 * np.abs(count / count.sum() - target / target.sum()).sum())


def _table(target: pd.Series, have: NDArray[np.int64], quota: NDArray[np.int64], photographs: int) -> str:
    """Return the spread before and after, and the groups that are short or left out."""
    lines = [f"{'':24}{'before':>12}{'after':>12}"]
    for name, values in (("photographs", (have.sum(), quota.sum())), ("groups", ((have > 0).sum(), (quota > 0).sum()))):
        lines.append(f"{name:24}{values[0]:>12,}{values[1]:>12,}")
    for name, measure in (
        ("largest / smallest", lambda n: n[n > 0].max() / n[n > 0].min()),
        ("Gini", lambda n: gini(n[n > 0])),
        ("away from the target", lambda n: _away(n[n > 0], target.to_numpy()[n > 0])),
    ):
        lines.append(f"{name:24}{measure(have):>12.3g}{measure(quota):>12.3g}")
    out = (have > 0) & (quota == 0)
    if photographs > have.sum():
        lines.append(f"{counted(photographs - int(have.sum()), 'photograph', 'lie')} in no group that is wanted")
    if out.any():
        most = np.flatnonzero(out)[np.argsort(-have[out], kind="stable")][:SHOWN]
        named = ", ".join(f"{target.index[g]} {have[g]:,}" for g in most) + (" …" if out.sum() > SHOWN else "")
        lines.append(f"{counted(int(out.sum()), 'group', 'are')} left out, too few photographs: {named}")
    if (have == 0).any():
        lines.append(f"no photographs in {counted(int((have == 0).sum()), 'group')} of the target")
    return "\n".join(lines)
