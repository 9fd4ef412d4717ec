"""Pictures that lie at addresses: brought whole or not at all, never twice, and known again once stored."""

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from fetch.client import Answer, BadAddress, Client, Damaged, Exhausted, Pace, Retry, Stopping, TooLarge
from fetch.download_config import DownloadConfig
from fetch.rejected import Rejection
from fetch.sources.config import ImportConfig
from fetch.stored import stored_addresses
from plumbing.addresses import is_allowed, is_loopback
from plumbing.files import atomic_path, read_json_lines
from plumbing.images import open_rgb
from plumbing.progress import progress
from plumbing.text import counted

DOWNLOADS = ".downloads"
"""Folder of a dataset for pictures that are downloaded and not yet stored."""
FAILED = "failed.jsonl"
"""Addresses that will never give a picture, one a line, so that nobody asks for them again."""
STAGE = "download"

DAMAGED_TRIES = 3
"""After so many whole answers that are not a picture none is expected: an error page may go away, a dead link does not."""
REDIRECTS = 5
TRANSIENT = frozenset({408, 425, 429})
"""Refusals that may be gone the next time, as all from 500 on."""
WHOLE_ANSWER = 4
"""A whole answer may take so many times the longest silence."""
LONGEST_PAUSE_S = 600.0
"""Where a server asks for a longer pause, its pictures wait for the next run."""
NOTHING_ANSWERS = 20
"""So many pictures pending one after the other end a run."""

NOT_YET = "not downloaded yet (run the command again)"

log = logging.getLogger(__name__)


class GoneError(Exception):
    """An address that will never give a picture; `args` are the reason, the same for all of a kind, and the value."""


class PendingError(Exception):
    """An address that gave nothing this time; the text says why."""


@dataclass
class Downloads:
    """What became of addresses.

    Attributes:
        got: how many came in this run.
        gone: reason and value of each that will never come.
        pending: why each other one did not come yet.
    """

    got: int = 0
    gone: dict[str, tuple[str, str]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)


class Downloader:
    """Asks for bytes from any thread, at a pace for each host."""

    def __init__(self, config: DownloadConfig) -> None:
        self.config = config
        self.client = Client(
            config.threads, config.timeout_s, WHOLE_ANSWER * config.timeout_s, config.backoff_s, config.contact
        )
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}

    def get(self, url: str, check: Callable[[bytes], object], max_bytes: int | None = None) -> bytes:
        """Return what lies at an address, after as many tries as it takes.

        Args:
            url: https, or http on this machine; so must be all to which it is redirected.
            check: raises ValueError for bytes that are no good, such as a picture cut short.
            max_bytes: larger answers are refused; `--max-megabytes` when None.

        Raises:
            GoneError: there will never be anything good.
            PendingError: nothing good came this time.
        """
        limit = max_bytes or int(self.config.max_megabytes * 1e6)

        def pause(failure: Retry) -> None:
            if failure.pause_s is not None:
                self._pace(urlsplit(url).hostname or "").pause(failure.pause_s)

        try:
            return self.client.try_often(lambda _: self._checked(url, check, limit), pause, DAMAGED_TRIES)
        except Exhausted as error:
            if error.damaged:
                raise GoneError("no pictures (or damaged) at their address", str(error)) from None
            raise PendingError(str(error)) from None
        except Stopping:
            raise PendingError("interrupted") from None

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def _checked(self, url: str, check: Callable[[bytes], object], limit: int) -> bytes:
        body = self._follow(url, limit)
        try:
            check(body)
        except ValueError as error:
            raise Damaged("HTML" if body.lstrip()[:1] == b"<" else str(error)) from None
        return body

    def _follow(self, url: str, limit: int) -> bytes:
        """Return the body of the last address of a chain."""
        inside = is_allowed(url) and is_loopback(urlsplit(url).hostname or "")
        for _ in range(REDIRECTS + 1):
            host = urlsplit(url).hostname or "" if is_allowed(url) else ""
            # A page of the world does not send anybody into this machine.
            if not host or (is_loopback(host) and not inside):
                raise GoneError("not at an https address", url)
            self._pace(host).wait(LONGEST_PAUSE_S)
            try:
                answer = self.client.send(url, limit)
            except TooLarge as error:
                raise GoneError("larger than --max-megabytes", str(error)) from None
            except BadAddress as error:
                raise GoneError("not at an address that can be asked", str(error)) from None
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return _body(answer)
            url = urljoin(url, answer.headers["location"])
        raise GoneError("redirected without end", url)

    def _pace(self, host: str) -> Pace:
        with self._lock:
            return self._paces.setdefault(host, Pace(self.config.requests_per_second, self.client.stop))


def _body(answer: Answer) -> bytes:
    if answer.status in TRANSIENT or answer.status >= 500:
        raise Retry(f"HTTP {answer.status}", answer.retry_after_s)
    if answer.status != 200:
        raise GoneError("no longer at their address", f"HTTP {answer.status}")
    return answer.body


def download(addresses: Iterable[str], folder: Path, config: DownloadConfig) -> Downloads:
    """Bring pictures into a folder, each as `file_of(folder, address)`; what is stored is not asked for.

    A file is there only when it is whole and decodes. Addresses that will never give a picture are noted in
    failed.jsonl; those that failed for another reason are asked again by the next run.
    """
    done = Downloads()
    known = _failures(folder)
    wanted = dict.fromkeys(addresses)
    done.gone = {address: known[address] for address in wanted if address in known}
    missing = [address for address in wanted if address not in known and not file_of(folder, address).is_file()]
    if not missing:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(config)
    failures_in_a_row = 0
    for address, error in progress(_all(missing, folder, downloader), "downloading", "picture", len(missing)):
        failures_in_a_row = failures_in_a_row + 1 if isinstance(error, PendingError) else 0
        if error is None:
            done.got += 1
        elif isinstance(error, GoneError):
            reason, value = error.args
            done.gone[address] = (reason, value)
            with (folder / FAILED).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps({"address": address, "reason": reason, "value": value}) + "\n")
        else:
            done.pending[address] = str(error)
        if failures_in_a_row == NOTHING_ANSWERS:
            log.warning(f"{failures_in_a_row} pictures in a row did not come ({error}): the rest is left for later")
            downloader.client.stop.set()
    return done


def file_of(folder: Path, address: str) -> Path:
    """Return where a downloaded picture lies."""
    key = hashlib.blake2b(address.encode(), digest_size=16).hexdigest()
    return folder / key[:2] / key


def _all(
    addresses: list[str], folder: Path, downloader: Downloader
) -> Iterator[tuple[str, GoneError | PendingError | None]]:
    """Yield addresses as they are done, a few threads at work and a few ahead."""
    threads = downloader.config.threads
    waiting: dict[Future[GoneError | PendingError | None], str] = {}
    upcoming = iter(addresses)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for address in islice(upcoming, 2 * threads - len(waiting)):
                    waiting[pool.submit(_bring, address, folder, downloader)] = address
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        finally:
            downloader.client.stop.set()
            pool.shutdown(cancel_futures=True)
            downloader.close()


def _bring(address: str, folder: Path, downloader: Downloader) -> GoneError | PendingError | None:
    """Store one picture; return why not, None when it is stored."""
    try:
        # A small decode reads the whole file all the same, which is what shows that nothing is missing.
        body = downloader.get(address, lambda picture: open_rgb(picture, 64))
    except (GoneError, PendingError) as failure:
        return failure
    with atomic_path(file_of(folder, address)) as partial:
        partial.write_bytes(body)
    return None


def _failures(folder: Path) -> dict[str, tuple[str, str]]:
    """Return what earlier runs noted of addresses that never give a picture."""
    return {row["address"]: (row["reason"], row["value"]) for row in read_json_lines(folder / FAILED)}


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
            log.info(f"{len(missing):,} of {counted(len(self.addresses), 'picture')} to download, from {where}")
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
                f"{counted(len(self.done.pending), 'picture', 'are')} not downloaded yet ({first}): run the same command again, "
                "it asks only for what is missing"
            )
