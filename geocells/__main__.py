"""`python -m geocells VERB`: which cells touch land; the shipped table of land and outlines of countries."""

from geocells.config import LandConfig, OutlinesConfig, TableConfig
from plumbing.config import Commands, dispatch

COMMANDS: Commands = {
    "land": (LandConfig, "geocells.land_cells:main"),
    "table": (TableConfig, "geocells.make_table:make_table"),
    "outlines": (OutlinesConfig, "geocells.make_outlines:make_outlines"),
}

if __name__ == "__main__":
    dispatch("python -m geocells", COMMANDS)
