"""`python -m fetch VERB`: from the world to a dataset folder."""

from fetch.config import BalanceConfig, PackConfig, SplitConfig, StatusConfig, ThinConfig, VerifyConfig
from fetch.demo.config import DemoConfig
from fetch.mapillary.config import MapillaryConfig, RecheckConfig
from fetch.sources.config import ImportConfig, Osv5mConfig, PullConfig
from plumbing.config import Commands, dispatch

COMMANDS: Commands = {
    "demo": (DemoConfig, "fetch.demo.dataset:run"),
    "import": (ImportConfig, "fetch.sources.imports:run"),
    "mapillary": (MapillaryConfig, "fetch.mapillary.cli:run"),
    "osv5m": (Osv5mConfig, "fetch.sources.osv5m:run"),
    "pull": (PullConfig, "fetch.sources.pull:run"),
    "thin": (ThinConfig, "fetch.thin:run"),
    "balance": (BalanceConfig, "fetch.balance:run"),
    "split": (SplitConfig, "fetch.split:run"),
    "pack": (PackConfig, "fetch.pack:run"),
    "verify": (VerifyConfig, "fetch.verify:run"),
    "status": (StatusConfig, "fetch.verify:status"),
    "recheck": (RecheckConfig, "fetch.mapillary.cli:run_recheck"),
}

if __name__ == "__main__":
    dispatch("python -m fetch", COMMANDS)
