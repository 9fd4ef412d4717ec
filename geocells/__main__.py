"""`python -m geocells land` and `python -m geocells table`."""

from geocells.config import LandConfig, TableConfig
from plumbing.config import dispatch

if __name__ == "__main__":
    dispatch(
        "python -m geocells",
        {
            "land": (LandConfig, "geocells.land_cells:main"),
            "table": (TableConfig, "geocells.make_table:make_table"),
        },
    )
