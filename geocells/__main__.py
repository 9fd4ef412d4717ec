"""`python -m geocells VERB`: which cells touch land."""

from geocells.config import LandConfig, TableConfig
from plumbing.config import Commands, dispatch

COMMANDS: Commands = {
    "land": (LandConfig, "geocells.land_cells:main"),
    "table": (TableConfig, "geocells.make_table:make_table"),
}

if __name__ == "__main__":
    dispatch("python -m geocells", COMMANDS)
