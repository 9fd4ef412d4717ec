"""`python -m label_maps --data data/demo --run runs/demo`, and its commands import, folders and countries."""

import sys

from label_maps.config import CountriesConfig, FoldersConfig, ImportConfig, LabelMapsConfig
from plumbing.config import command, dispatch

COMMANDS: dict[str, tuple[type, str]] = {
    # By name only: label maps know no networks, the command hands over to what does.
    "import": (ImportConfig, "infer.older_project:main"),
    "folders": (FoldersConfig, "label_maps.folders:main"),
    "countries": (CountriesConfig, "label_maps.countries:main"),
}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        dispatch("python -m label_maps", COMMANDS)
    command(LabelMapsConfig, "python -m label_maps", "label_maps.build:main")
