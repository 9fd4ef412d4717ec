"""Command: what a run is and how good, `python -m viz.report`."""

from plumbing.config import command
from viz.config import ReportConfig

if __name__ == "__main__":
    command(ReportConfig, "python -m viz.report", "viz.report_page:write_report")
