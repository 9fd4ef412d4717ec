"""`python -m label_maps VERB`: from coordinates to classes."""

from label_maps.config import CountriesConfig, FoldersConfig, LabelMapsConfig
from plumbing.config import Commands, dispatch

COMMANDS: Commands = {
    "build": (LabelMapsConfig, "label_maps.build:main"),
    "folders": (FoldersConfig, "label_maps.folders:main"),
    "countries": (CountriesConfig, "label_maps.countries:main"),
}

if __name__ == "__main__":
    dispatch("python -m label_maps", COMMANDS, usual="build")
