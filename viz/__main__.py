"""`python -m viz VERB`: maps and reports as pages that open from disk, offline."""

from plumbing.config import Commands, dispatch
from viz.config import CoverageConfig, ReportConfig

COMMANDS: Commands = {
    "coverage": (CoverageConfig, "viz.maps.coverage:write_coverage"),
    "report": (ReportConfig, "viz.report.page:write_report"),
}

if __name__ == "__main__":
    dispatch("python -m viz", COMMANDS)
