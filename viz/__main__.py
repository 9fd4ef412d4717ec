"""`python -m viz VERB`: maps and reports as pages that open from disk, offline."""

from plumbing.config import Commands, dispatch
from train.sheet_config import AugmentationsConfig
from viz.config import BaseMapConfig, CoverageConfig, ReportConfig

COMMANDS: Commands = {
    "coverage": (CoverageConfig, "viz.maps.coverage:write_coverage"),
    "augmentations": (AugmentationsConfig, "train.sheet:main"),
    "report": (ReportConfig, "viz.report.page:write_report"),
    "basemap": (BaseMapConfig, "viz.base_map.make:make_base_map"),
}

if __name__ == "__main__":
    dispatch("python -m viz", COMMANDS)
