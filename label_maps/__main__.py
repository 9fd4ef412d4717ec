"""`python -m label_maps --data data/demo --run runs/demo`."""

from label_maps.config import LabelMapsConfig
from plumbing.config import command

if __name__ == "__main__":
    command(LabelMapsConfig, "python -m label_maps", "label_maps.build:main")
