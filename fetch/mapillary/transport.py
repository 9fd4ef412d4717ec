"""Requests to Mapillary: the one client, with the token in a header and nowhere else, counters and a circuit breaker."""

import logging
import math
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from fetch.client import Answer, Client, Exhausted, Pace, Retry
from fetch.mapillary.answers import check_status
from fetch.mapillary.config import ServiceConfig
from fetch.mapillary.errors import CircuitOpen
from plumbing.addresses import is_loopback

MAX_BYTES = {"tiles": 30_000_000, "graph": 30_000_000, "images": 25_000_000}
WHOLE_ANSWER = 2
"""A whole answer may take so many times the longest silence."""
BURST_S = 2.0
"""So many seconds' worth of requests may go out at once after silence."""
LONGEST_SLOW_DOWN_S = 60.0
LONGEST_PAUSE_S = 3600.0
WINDOW = 200
"""Tries over which the share of failures is taken."""
FIRST_PAUSE_S = 5.0
"""The first pause where too many requests fail; each further one is twice as long, up to `CIRCUIT_PAUSE_S`."""
CIRCUIT_PAUSE_S = 300.0
CIRCUIT_OPENINGS = 3
"""The run ends where the longest pause would be made for this time."""
SAID_PAUSE_S = 5.0
"""Shorter pauses that a server asks for are not said."""
NEVER_ANSWERED = 12
"""Failed tries after which a service that never answered counts as out of reach."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def scrub(text: str) -> str:
    """Return a text without anything that looks like a token; servers may repeat what they were sent."""
    text = re.sub(r"MLY\|[^\s&\"']+", "MLY|…", text)
    return re.sub(r"(access_token=|OAuth )[^\s&\"']+", r"\1…", text)


class Transport:
    """All requests of a run.

    Attributes:
        requests: how many went out, by surface: `graph`, `tiles`, `images`.
        stop: set, it ends all waiting.
    """

    def __init__(
        self,
        config: ServiceConfig,
        token: str,
        spend_tile: Callable[[], None] = lambda: None,
        circuit_pause_s: float = CIRCUIT_PAUSE_S,
    ) -> None:
        self._config = config
        # Without the proxies of the environment, so that nothing stands between the token and the service.
        self._client = Client(
            config.threads,
            config.timeout_s,
            WHOLE_ANSWER * config.timeout_s,
            config.backoff_s,
            config.contact,
            proxies=False,
        )
        self.stop = self._client.stop
        signed = {"Authorization": f"OAuth {token}"}
        self._headers = {"images": {}, "graph": signed, "tiles": signed}
        self._paces = {
            "graph": Pace(config.requests_per_second, self.stop, BURST_S),
            "tiles": Pace(config.tiles_per_second, self.stop, BURST_S),
            "images": Pace(0, self.stop),
        }
        self._spend_tile = spend_tile
        self._circuit_pause_s = circuit_pause_s
        self._lock = threading.Lock()
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._openings = 0
        self._tell: Callable[[str], None] | None = None
        self._said_until = 0.0
        self._slowed: Counter[str] = Counter()
        self._answered: set[str] = set()
        self.requests: Counter[str] = Counter()

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

        def once(attempt: int) -> T:
            answer = self._send(surface, url, params)
            check_status(surface, answer, attempt)
            return read(answer)

        try:
            value = self._client.try_often(once, lambda failure: self._failed(surface, failure))
        except Exhausted as error:
            raise Exhausted(scrub(str(error)), error.damaged) from None
        self._worked(surface)
        return value

    def ask(self, surface: str, url: str, params: dict[str, str] | None = None) -> Answer:
        """Return the answer to one request, whatever it is.

        Raises:
            Retry: there is no whole answer.
        """
        self._check(surface, url)
        return self._send(surface, url, params)

    @contextmanager
    def telling(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Tell of pauses meanwhile, and with an empty text of their end, on a progress line say; the log has them anyway."""
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _check(self, surface: str, url: str) -> None:
        """Refuse an address to which nothing is sent."""
        if surface != "images":
            return
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = any(host == name or host.endswith(f".{name}") for name in self._config.image_hosts)
        if not known or (parts.scheme != "https" and not is_loopback(host)):
            raise ValueError(f"a picture lies at {host!r}, which --image-hosts does not allow (or not by https)")

    def _send(self, surface: str, url: str, params: dict[str, str] | None) -> Answer:
        """Send one request when the pace of its surface allows, and count it."""
        self._paces[surface].wait()
        if surface == "tiles":
            self._spend_tile()
        with self._lock:
            self.requests[surface] += 1
        return self._client.send(url, MAX_BYTES[surface], params, self._headers[surface])

    def _worked(self, surface: str) -> None:
        with self._lock:
            self._outcomes.append(True)
            self._answered.add(surface)
            self._slowed[surface] = 0
            if len(self._outcomes) == WINDOW and sum(self._outcomes) > WINDOW / 2:
                # The service is well again: what comes later is another failure.
                self._openings = 0
            over = 0 < self._said_until <= time.monotonic()
            self._said_until = 0.0 if over else self._said_until
        if over and self._tell is not None:
            self._tell("")

    def _say(self, text: str, pause_s: float) -> None:
        """Say why nothing is asked for a while, once for each pause."""
        with self._lock:
            if time.monotonic() < self._said_until:
                return
            self._said_until = time.monotonic() + pause_s
        log.warning(f"{text}: nothing is asked for {pause_s:,.3g} s")
        if self._tell is not None:
            self._tell(f"{text}, paused for {pause_s:,.3g} s")

    def _failed(self, surface: str, failure: Retry) -> None:
        """Count a failure; where they are too many, stop asking for a while, and in the end for good."""
        asked_s = 0.0
        with self._lock:
            if failure.slow_down:
                self._slowed[surface] += 1
                pause_s = min(LONGEST_SLOW_DOWN_S, self._config.backoff_s * 2 ** min(self._slowed[surface], 10))
                said_s = failure.pause_s
                asked_s = pause_s if said_s is None else min(LONGEST_PAUSE_S, said_s)
                self._paces[surface].pause(asked_s)
            self._outcomes.append(not failure.unhealthy)
            failures = len(self._outcomes) - sum(self._outcomes)
            if not self._answered and failures >= NEVER_ANSWERED:
                raise CircuitOpen(f"the service cannot be reached: {scrub(str(failure))}")
            opens = len(self._outcomes) == WINDOW and failures > WINDOW / 2
            if opens:
                self._outcomes.clear()
                self._openings += 1
            openings = self._openings
        if not opens:
            if asked_s >= SAID_PAUSE_S:
                self._say(f"the service is asked too often ({surface})", asked_s)
            return
        pauses = circuit_pauses(self._circuit_pause_s)
        if openings > len(pauses):
            raise CircuitOpen(f"more than half of the requests fail, the last: {scrub(str(failure))}")
        for paused in self._paces.values():
            paused.pause(pauses[openings - 1])
        self._say(f"more than half of the requests fail, the last: {scrub(str(failure))}", pauses[openings - 1])


def circuit_pauses(longest_s: float = CIRCUIT_PAUSE_S) -> list[float]:
    """Return the pauses in seconds that a service which keeps failing gets, before the run ends."""
    doublings = max(0, math.ceil(math.log2(longest_s / FIRST_PAUSE_S)))
    return [FIRST_PAUSE_S * 2**k for k in range(doublings)] + [longest_s] * (CIRCUIT_OPENINGS - 1)
