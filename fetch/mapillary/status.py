"""Stage `status`: where things stand, in a few lines."""

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.state import State
from fetch.mapillary.survey import missing_tiles
from fetch.mapillary.tiles import OVERVIEW_ZOOM


def status(config: MapillaryConfig, state: State) -> str:
    """Return what is surveyed, planned, fetched and left out, cell by state, and what was asked."""
    lines = [f"survey    {len(state.tiles_done(OVERVIEW_ZOOM)):,} tiles, {len(missing_tiles(config, state)):,} missing"]
    cells = state.rows("select state, count(*) from cell group by state order by state")
    lines.append("cells     " + (", ".join(f"{n:,} {what}" for what, n in cells) or "no plan yet"))
    candidates = state.rows("select state, count(*) from candidate group by state order by state")
    lines.append("pictures  " + (", ".join(f"{n:,} {what}" for what, n in candidates) or "none"))
    stored, size = state.rows("select count(*), coalesce(sum(bytes), 0) from picture")[0]
    lines.append(f"disk      {stored:,} pictures stored, {size / 1e6:,.1f} MB")
    reasons = state.rows(
        "select reason, count(*) from candidate where reason != '' group by reason order by 2 desc, 1 limit 12"
    )
    lines += [f"left out  {n:>9,} {reason}" for reason, n in reasons]
    short = state.rows(
        "select reason, count(*) from cell where state = 'error' group by reason order by 2 desc limit 3"
    )
    lines += [f"error     {n:,} cells: {reason}" for reason, n in short]
    for day, surface, n in state.rows("select day, surface, n from quota order by day desc, surface limit 6"):
        lines.append(f"asked     {day} {surface:<8}{n:>9,}")
    return "\n".join(lines)
