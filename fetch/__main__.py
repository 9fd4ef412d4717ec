"""`python -m fetch COMMAND`: from the world to a dataset folder."""

from fetch.config import DemoConfig, ImportConfig, ThinConfig
from fetch.mapillary_config import MapillaryConfig, RecheckConfig
from plumbing.config import dispatch

COMMANDS: dict[str, tuple[type, str]] = {
    "mapillary": (MapillaryConfig, "fetch.mapillary.command:run"),
    "recheck": (RecheckConfig, "fetch.mapillary.recheck:run"),
    "demo": (DemoConfig, "fetch.demo:run"),
    "import": (ImportConfig, "fetch.importing:run"),
    "thin": (ThinConfig, "fetch.thin:run"),
}

if __name__ == "__main__":
    dispatch("python -m fetch", COMMANDS)
