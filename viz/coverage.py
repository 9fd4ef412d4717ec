"""Command: where a dataset has photographs, `python -m viz.coverage`."""

from plumbing.config import command
from viz.config import CoverageConfig

if __name__ == "__main__":
    command(CoverageConfig, "python -m viz.coverage", "viz.coverage_map:write_coverage")
