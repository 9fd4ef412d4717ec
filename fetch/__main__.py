"""`python -m fetch COMMAND`: from the world to a dataset folder."""

from fetch.config import (
    BalanceConfig,
    DemoConfig,
    ImportConfig,
    Osv5mConfig,
    PackConfig,
    PullConfig,
    StatusConfig,
    ThinConfig,
    VerifyConfig,
)
from fetch.mapillary_config import MapillaryConfig, RecheckConfig
from plumbing.config import dispatch

COMMANDS: dict[str, tuple[type, str]] = {
    "mapillary": (MapillaryConfig, "fetch.mapillary.command:run"),
    "recheck": (RecheckConfig, "fetch.mapillary.recheck:run"),
    "demo": (DemoConfig, "fetch.demo:run"),
    "import": (ImportConfig, "fetch.importing:run"),
    "osv5m": (Osv5mConfig, "fetch.osv5m:run"),
    "pull": (PullConfig, "fetch.pull:run"),
    "thin": (ThinConfig, "fetch.thin:run"),
    "balance": (BalanceConfig, "fetch.balance:run"),
    "pack": (PackConfig, "fetch.pack:run"),
    "verify": (VerifyConfig, "fetch.verify:run"),
    "status": (StatusConfig, "fetch.verify:status"),
}

if __name__ == "__main__":
    dispatch("python -m fetch", COMMANDS)
