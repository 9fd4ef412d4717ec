"""Photographs of a table that lie at addresses: brought once, stored, and known again afterwards."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from fetch.client import NOT_YET, Downloads, download, file_of
from fetch.config import ImportConfig
from fetch.ingest import stored_addresses
from fetch.rejected import Rejection
from plumbing.addresses import is_loopback

DOWNLOADS = ".downloads"
"""Folder of a dataset for pictures that are downloaded and not yet stored."""
STAGE = "download"

log = logging.getLogger(__name__)


def secure(address: str) -> str:
    """Return an address with https for http, which old tables have and servers have long redirected."""
    try:
        parts = urlsplit(address)
        plain = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    except ValueError:
        return address
    return "https" + address[len("http") :] if plain else address


class Remote:
    """The pictures of one import.

    Attributes:
        addresses: all that the table names.
        done: what became of those that were not stored yet.
    """

    def __init__(self, config: ImportConfig, addresses: Iterable[str]) -> None:
        self.addresses = set(addresses)
        self._folder = config.out / DOWNLOADS
        self._stored = stored_addresses(config.out, self.addresses, config)
        missing = sorted(self.addresses - self._stored)
        if missing:
            hosts = Counter(urlsplit(address).hostname for address in missing if "[" not in address)
            where = ", ".join(str(host) for host, _ in hosts.most_common(3)) + (" …" if len(hosts) > 3 else "")
            log.info(f"{len(missing):,} of {len(self.addresses):,} pictures are to be downloaded, from {where}")
        self.done: Downloads = download(missing, self._folder, config)

    def find(self, name: str, address: str) -> Path | Rejection:
        """Return where a picture lies, if it need lie anywhere, or why it does not."""
        if address in self.done.gone:
            reason, value = self.done.gone[address]
            return Rejection(name, reason, value, stage=STAGE)
        if address in self.done.pending:
            return Rejection(name, NOT_YET, self.done.pending[address], stage=STAGE)
        return file_of(self._folder, address)

    def finish(self) -> None:
        """Remove what is stored now, and say what is pending."""
        for address in self.addresses - self._stored - set(self.done.pending):
            file_of(self._folder, address).unlink(missing_ok=True)
        for folder in [*self._folder.glob("*/"), self._folder]:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if self.done.pending:
            first = next(iter(self.done.pending.values()))
            log.warning(
                f"{len(self.done.pending):,} pictures are not downloaded yet ({first}): run the same command again, "
                "it asks only for these"
            )
