"""Requests: paced, retried, bounded in time and size, with the token in a header and nowhere else."""

import logging
import random
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import urllib3

from fetch.mapillary.answers import Answer, check_status
from fetch.mapillary.config import ServiceConfig
from fetch.mapillary.errors import CircuitOpen, Damaged, Exhausted, Retry, Stopping
from plumbing.addresses import is_loopback
from plumbing.version import VERSION

TRIES = 6
MAX_BYTES = {"tiles": 30_000_000, "graph": 30_000_000, "images": 25_000_000}
CONNECT_S = 5.0
LONGEST_WAIT_S = 60.0
WINDOW = 200
"""Tries over which the share of failures is taken."""
CIRCUIT_PAUSE_S = 300.0
CIRCUIT_OPENINGS = 3
NEVER_ANSWERED = 12
"""Failed tries after which a service that never answered counts as out of reach."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def scrub(text: str) -> str:
    """Return a text without anything that looks like a token; servers may repeat what they were sent."""
    text = re.sub(r"MLY\|[^\s&\"']+", "MLY|…", text)
    return re.sub(r"(access_token=|OAuth )[^\s&\"']+", r"\1…", text)


class Surface:
    """The pace of one service, shared by all threads: a bucket of requests, and a pause for all."""

    def __init__(self, per_second: float, stop: threading.Event) -> None:
        self._interval_s = 1 / per_second if per_second else 0.0
        self._burst_s = 2.0 if per_second else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._paused_until = 0.0

    def wait(self) -> None:
        """Return when the next request may go out.

        Raises:
            Stopping: the run is being interrupted.
        """
        with self._lock:
            now = time.monotonic()
            self._next_at = max(self._next_at, now - self._burst_s) + self._interval_s
            wait_s = self._next_at - now
        while True:
            if self._stop.wait(max(0.0, wait_s)) if wait_s > 0 else self._stop.is_set():
                raise Stopping
            wait_s = self._paused_until - time.monotonic()
            if wait_s <= 0:
                return

    def pause(self, seconds: float) -> None:
        """Let nobody ask for a while."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)


class Transport:
    """All requests of a run.

    Attributes:
        requests: how many went out, by surface: `graph`, `tiles`, `images`.
        received_bytes: what came back.
    """

    def __init__(
        self,
        config: ServiceConfig,
        token: str,
        spend_tile: Callable[[], None] = lambda: None,
        circuit_pause_s: float = CIRCUIT_PAUSE_S,
    ) -> None:
        self._config = config
        contact = f" ({config.contact})" if config.contact else ""
        agent = {"User-Agent": f"geocell-fetch/{VERSION}{contact}", "Accept-Encoding": "gzip"}
        self._headers = {"images": agent, "graph": {**agent, "Authorization": f"OAuth {token}"}}
        self._headers["tiles"] = self._headers["graph"]
        # It knows neither the proxies nor the .netrc of the environment, so that nothing comes between.
        timeout = urllib3.Timeout(connect=min(CONNECT_S, config.timeout_s), read=config.timeout_s)
        self._pool = urllib3.PoolManager(maxsize=config.threads, timeout=timeout)
        self._spend_tile = spend_tile
        self._circuit_pause_s = circuit_pause_s
        self._lock = threading.Lock()
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._openings = 0
        self._slowed: Counter[str] = Counter()
        self._answered: set[str] = set()
        self.stop = threading.Event()
        self.surfaces = {
            "graph": Surface(config.requests_per_second, self.stop),
            "tiles": Surface(config.tiles_per_second, self.stop),
            "images": Surface(0, self.stop),
        }
        self.requests: Counter[str] = Counter()
        self.received_bytes = 0

    def fetch(self, surface: str, url: str, read: Callable[[Answer], T], params: dict[str, str] | None = None) -> T:
        """Return what `read` makes of the answer, after as many tries as it takes.

        Args:
            surface: `graph`, `tiles` or `images`; pictures are asked for without the token.
            url: where; a picture's must lie on an allowed host.
            read: parses an answer; raises `Retry` for one that is no good.
            params: of the query.

        Raises:
            Gone, Expired: the service says so.
            Exhausted: all tries failed.
            Stop: the run cannot go on.
            ValueError: the service refuses the request itself, or the address is not allowed.
        """
        self._check(surface, url)
        damaged = 0
        last = ""
        for attempt in range(TRIES):
            self.surfaces[surface].wait()
            try:
                answer = self._get(surface, url, params)
                check_status(surface, answer, attempt)
                value = read(answer)
            except Retry as failure:
                damaged += isinstance(failure, Damaged)
                last = scrub(str(failure))
                self._failed(surface, failure)
                if attempt + 1 < TRIES:
                    self._back_off(attempt)
                continue
            self._worked(surface)
            return value
        raise Exhausted(last, damaged == TRIES)

    def ask(self, surface: str, url: str, params: dict[str, str] | None = None) -> Answer:
        """Return the answer to one request, whatever it is.

        Raises:
            Retry: there is no whole answer.
        """
        self._check(surface, url)
        self.surfaces[surface].wait()
        return self._get(surface, url, params)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _check(self, surface: str, url: str) -> None:
        """Refuse an address to which nothing is sent."""
        if surface != "images":
            return
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = any(host == name or host.endswith(f".{name}") for name in self._config.image_hosts)
        if not known or (parts.scheme != "https" and not is_loopback(host)):
            raise ValueError(f"a picture lies at {host!r}, which --image-hosts does not allow (or not by https)")

    def _get(self, surface: str, url: str, params: dict[str, str] | None) -> Answer:
        """Send one request; a connection that fails, stalls, breaks or never ends is a `Retry`."""
        if surface == "tiles":
            self._spend_tile()
        with self._lock:
            self.requests[surface] += 1
        deadline = time.monotonic() + 2 * self._config.timeout_s
        limit = MAX_BYTES[surface]
        body = bytearray()
        try:
            response = self._pool.request(
                "GET",
                url,
                fields=params,
                headers=self._headers[surface],
                preload_content=False,
                redirect=False,
                retries=False,
            )
            try:
                for chunk in response.stream(1 << 16):
                    body += chunk
                    if len(body) > limit:
                        raise Retry(f"an answer of more than {limit:,} bytes")
                    if time.monotonic() > deadline:
                        raise Retry(f"an answer took more than {2 * self._config.timeout_s:g} s")
            except Retry:
                response.close()
                raise
            response.release_conn()
            said = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, bytes(body), _retry_after_s(said.get("retry-after", "")), said)
        except urllib3.exceptions.HTTPError as error:
            raise Retry(f"no whole answer ({type(error).__name__})") from None
        finally:
            with self._lock:
                self.received_bytes += len(body)

    def _worked(self, surface: str) -> None:
        with self._lock:
            self._outcomes.append(True)
            self._answered.add(surface)
            self._slowed[surface] = 0

    def _failed(self, surface: str, failure: Retry) -> None:
        """Count a failure; where they are too many, stop asking for a while, and in the end for good."""
        with self._lock:
            if failure.slow_down:
                self._slowed[surface] += 1
                pause_s = min(LONGEST_WAIT_S, self._config.backoff_s * 2 ** min(self._slowed[surface], 10))
                self.surfaces[surface].pause(pause_s if failure.pause_s is None else failure.pause_s)
            self._outcomes.append(not failure.unhealthy)
            failures = len(self._outcomes) - sum(self._outcomes)
            if not self._answered and failures >= NEVER_ANSWERED:
                raise CircuitOpen(f"the service cannot be reached: {scrub(str(failure))}")
            if len(self._outcomes) < WINDOW or failures <= WINDOW / 2:
                return
            self._outcomes.clear()
            self._openings += 1
            openings = self._openings
        if openings >= CIRCUIT_OPENINGS:
            raise CircuitOpen(f"more than half of the requests fail, the last: {scrub(str(failure))}")
        log.warning(f"more than half of the requests fail: nothing is asked for {self._circuit_pause_s:g} s")
        for paused in self.surfaces.values():
            paused.pause(self._circuit_pause_s)

    def _back_off(self, attempt: int) -> None:
        """Wait any time up to a bound that doubles, so that threads that failed together do not ask together."""
        wait_s = random.uniform(0, min(LONGEST_WAIT_S, self._config.backoff_s * 2**attempt))
        if self.stop.wait(wait_s):
            raise Stopping


def _retry_after_s(said: str) -> float | None:
    """Return how long a server asks to wait, in seconds; None where it does not say."""
    try:
        return min(3600.0, max(0.0, float(said)))
    except ValueError:
        pass
    try:
        return min(3600.0, max(0.0, parsedate_to_datetime(said).timestamp() - time.time()))
    except (ValueError, TypeError):
        return None
