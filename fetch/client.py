"""Pictures by their addresses: politely, whole or not at all, and never twice."""

import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from fetch.config import DownloadConfig
from plumbing.addresses import is_allowed, is_loopback
from plumbing.files import atomic_path, read_json_lines
from plumbing.images import open_rgb
from plumbing.progress import progress
from plumbing.version import VERSION

FAILED = "failed.jsonl"
"""Addresses that will never give a picture, one a line, so that nobody asks for them again."""

TRIES = 6
DAMAGED_TRIES = 3
"""After so many whole answers that are no picture there is none: an error page may go away, a dead link does not."""
REDIRECTS = 5
TRANSIENT = frozenset({408, 425, 429})
"""Refusals that may be gone the next time, as all from 500 on."""
CONNECT_S = 10.0
WHOLE_ANSWER = 4
"""A whole answer may take so many times the longest silence."""
LONGEST_BACKOFF_S = 60.0
LONGEST_PAUSE_S = 600.0
"""Where a server asks for a longer pause, its pictures wait for the next run."""
CHUNK = 1 << 16
NOTHING_ANSWERS = 20
"""So many pictures pending one after the other end a run."""

NOT_YET = "not downloaded yet (run the command again)"

log = logging.getLogger(__name__)


class GoneError(Exception):
    """An address that will never give a picture; `args` are the reason, the same for all of a kind, and the value."""


class PendingError(Exception):
    """An address that gave nothing this time; the text says why."""


class _RetryError(Exception):
    """An answer that was no good; asking again may help."""

    def __init__(self, why: str, pause_s: float | None = None, damaged: bool = False) -> None:
        super().__init__(why)
        self.pause_s = pause_s
        self.damaged = damaged


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


class Pace:
    """How often one host is asked, shared by all threads."""

    def __init__(self, per_second: float) -> None:
        self._interval_s = 1 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next_at = 0.0

    def wait(self, stop: threading.Event) -> None:
        """Return when the host may be asked.

        Raises:
            PendingError: not soon, or the run is being interrupted.
        """
        with self._lock:
            now = time.monotonic()
            wait_s = max(self._next_at - now, 0.0)
            if wait_s > LONGEST_PAUSE_S:
                raise PendingError(f"its server asks to wait {wait_s:,.0f} s")
            self._next_at = max(self._next_at, now) + self._interval_s
        if stop.wait(wait_s) if wait_s else stop.is_set():
            raise PendingError("interrupted")

    def pause(self, seconds: float) -> None:
        """Let nobody ask for a while."""
        with self._lock:
            self._next_at = max(self._next_at, time.monotonic() + seconds)


class Downloader:
    """Asks for bytes from any thread: timeouts, a limit of size, retries, a pace for each host."""

    def __init__(self, config: DownloadConfig) -> None:
        self.stop = threading.Event()
        self.requests = 0
        self.config = config
        self._local = threading.local()
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._sessions: list[requests.Session] = []

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
        damaged = 0
        for attempt in range(TRIES):
            try:
                body = self._follow(url, max_bytes or int(self.config.max_megabytes * 1e6))
                try:
                    check(body)
                except ValueError as error:
                    what = "HTML" if body.lstrip()[:1] == b"<" else str(error)
                    raise _RetryError(what, damaged=True) from None
                return body
            except _RetryError as failure:
                damaged += failure.damaged
                if damaged >= DAMAGED_TRIES:
                    raise GoneError("no pictures (or damaged) at their address", str(failure)) from None
                if attempt + 1 == TRIES:
                    raise PendingError(str(failure)) from None
                self._back_off(url, attempt, failure.pause_s)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions:
            session.close()

    def _follow(self, url: str, limit: int) -> bytes:
        """Return an answer, of the last address of a chain."""
        inside = is_allowed(url) and is_loopback(urlsplit(url).hostname or "")
        for _ in range(REDIRECTS + 1):
            host = urlsplit(url).hostname or "" if is_allowed(url) else ""
            # A page of the world does not send anybody into this machine.
            if not host or (is_loopback(host) and not inside):
                raise GoneError("not at an https address", url)
            self._pace(host).wait(self.stop)
            body, location = self._once(url, limit)
            if location is None:
                return body
            url = urljoin(url, location)
        raise GoneError("redirected without end", url)

    def _once(self, url: str, limit: int) -> tuple[bytes, str | None]:
        """Send one request; return its answer, or where it is redirected."""
        with self._lock:
            self.requests += 1
        silence_s = self.config.timeout_s
        deadline = time.monotonic() + WHOLE_ANSWER * silence_s
        try:
            with self._session().get(
                url, timeout=(min(CONNECT_S, silence_s), silence_s), stream=True, allow_redirects=False
            ) as response:
                if response.is_redirect:
                    return b"", response.headers["Location"]
                _check_status(response)
                return self._body(response, limit, deadline), None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError) as error:
            raise GoneError("not at an address that can be asked", str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _RetryError(f"no whole answer ({type(error).__name__})") from None

    def _body(self, response: requests.Response, limit: int, deadline: float) -> bytes:
        said = response.headers.get("Content-Length", "")
        if said.isdigit() and int(said) > limit:
            raise GoneError("larger than --max-megabytes", f"{int(said):,} bytes")
        body = bytearray()
        # `read1` returns what is there; reading whole chunks would wait for them beyond every deadline.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise GoneError("larger than --max-megabytes", f"over {limit:,} bytes")
            if time.monotonic() > deadline:
                raise _RetryError("an answer that took too long")
            if self.stop.is_set():
                raise PendingError("interrupted")
        if said.isdigit() and "Content-Encoding" not in response.headers and len(body) != int(said):
            raise _RetryError(f"{len(body):,} of {int(said):,} bytes")
        return bytes(body)

    def _pace(self, host: str) -> Pace:
        with self._lock:
            return self._paces.setdefault(host, Pace(self.config.requests_per_second))

    def _back_off(self, url: str, attempt: int, pause_s: float | None) -> None:
        """Wait any time up to a bound that doubles; where the server says how long, the whole host waits."""
        if pause_s is not None:
            self._pace(urlsplit(url).hostname or "").pause(pause_s)
        # Full jitter: threads that failed together do not ask together again.
        longest_s = min(LONGEST_BACKOFF_S, self.config.backoff_s * 2**attempt)
        if self.stop.wait(random.uniform(0, longest_s)):
            raise PendingError("interrupted")

    def _session(self) -> requests.Session:
        """Return this thread's session."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            # Passwords of a .netrc go to nobody.
            session.auth = lambda request: request
            contact = f" ({self.config.contact})" if self.config.contact else ""
            session.headers["User-Agent"] = f"geocell-fetch/{VERSION}{contact}"
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return self._local.session


def _check_status(response: requests.Response) -> None:
    code = response.status_code
    if code in TRANSIENT or code >= 500:
        raise _RetryError(f"HTTP {code}", retry_after_s(response.headers.get("Retry-After", "")))
    if code != 200:
        raise GoneError("no longer at their address", f"HTTP {code}")


def retry_after_s(said: str) -> float | None:
    """Return how long a Retry-After asks to wait, given as seconds or as a date; None where it says nothing."""
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    # Of "inf" and "nan" nothing can be made.
    return max(0.0, seconds) if seconds < 1e9 else None


def download(addresses: Iterable[str], folder: Path, config: DownloadConfig) -> Downloads:
    """Bring pictures into a folder, each as `file_of(folder, address)`; what lies there is not asked for.

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
            downloader.stop.set()
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
            downloader.stop.set()
            pool.shutdown(cancel_futures=True)
            downloader.close()


def _bring(address: str, folder: Path, downloader: Downloader) -> GoneError | PendingError | None:
    """Store one picture; return why not, None when it lies there."""
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
