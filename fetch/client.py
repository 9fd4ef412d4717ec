"""One HTTP client for everything that is fetched: paced, retried, bounded in time and size, from any thread."""

# A name that says what happened needs no `Error` behind it.
# ruff: noqa: N818

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from plumbing.text import counted
from plumbing.version import VERSION

TRIES = 6
CONNECT_S = 10.0
LONGEST_BACKOFF_S = 60.0
CHUNK = 1 << 16

T = TypeVar("T")


class Stopping(Exception):
    """The run is being interrupted; whatever waits gives up."""


class Retry(Exception):
    """This try failed; another may not.

    Attributes:
        pause_s: how long nobody may ask, where the server says so; None where it does not.
        slow_down: whether the server asks for fewer requests.
        unhealthy: whether the failure says something about the server as a whole.
    """

    def __init__(
        self, message: str, pause_s: float | None = None, slow_down: bool = False, unhealthy: bool = True
    ) -> None:
        super().__init__(message)
        self.pause_s = pause_s
        self.slow_down = slow_down
        self.unhealthy = unhealthy


class Damaged(Retry):
    """A whole answer that is not what was asked for, such as a picture that cannot be decoded."""

    def __init__(self, message: str) -> None:
        super().__init__(message, unhealthy=False)


class TooLarge(Retry):
    """An answer is larger than allowed."""


class BadAddress(Retry):
    """An address cannot be asked."""


class Exhausted(Exception):
    """All tries are used up.

    Attributes:
        damaged: the server gives damaged answers, so that further tries are of no use.
    """

    def __init__(self, message: str, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


@dataclass(frozen=True)
class Answer:
    """One answer, read whole; of a redirection, the headers alone.

    Attributes:
        status: of HTTP.
        body: as it came, decompressed.
        retry_after_s: how long the server asks to wait.
        headers: names in lower case.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Pace:
    """How often one server is asked, shared by all threads: an interval, a burst after silence, and pauses for all."""

    def __init__(self, per_second: float, stop: threading.Event, burst_s: float = 0.0) -> None:
        self._interval_s = 1 / per_second if per_second else 0.0
        self._burst_s = burst_s if per_second else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._paused_until = 0.0

    def wait(self, longest_s: float = math.inf) -> None:
        """Return when the next request may go out.

        Raises:
            Stopping: the run is being interrupted.
            Exhausted: that would take longer than `longest_s`.
        """
        with self._lock:
            now = time.monotonic()
            start_at = max(self._next_at, now - self._burst_s)
            self._refuse(max(start_at, self._paused_until) - now, longest_s)
            self._next_at = start_at + self._interval_s
        wait_s = start_at - now
        while True:
            if self._stop.wait(wait_s) if wait_s > 0 else self._stop.is_set():
                raise Stopping
            # Another thread may have been told to pause meanwhile.
            wait_s = self._paused_until - time.monotonic()
            if wait_s <= 0:
                return
            self._refuse(wait_s, longest_s)

    def pause(self, seconds: float) -> None:
        """Let nobody ask for a while."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)
            self._next_at = max(self._next_at, self._paused_until)

    @staticmethod
    def _refuse(wait_s: float, longest_s: float) -> None:
        if wait_s > longest_s:
            raise Exhausted(f"its server asks to wait {wait_s:,.0f} s")


class Client:
    """Sends requests over connections that are kept.

    Args:
        threads: connections kept for each host.
        timeout_s: longest silence of a server.
        whole_answer_s: longest time that a whole answer may take.
        backoff_s: longest wait before the second try; it doubles with each further one.
        contact: for the operators of a server to write to.
        proxies: whether the proxies of the environment are used.

    Attributes:
        stop: set, it ends all waiting and receiving.
        received_bytes: what came back.
    """

    def __init__(
        self,
        threads: int,
        timeout_s: float,
        whole_answer_s: float,
        backoff_s: float,
        contact: str = "",
        proxies: bool = True,
    ) -> None:
        self.stop = threading.Event()
        self.received_bytes = 0
        self._timeout_s = (min(CONNECT_S, timeout_s), timeout_s)
        self._whole_answer_s = whole_answer_s
        self._backoff_s = backoff_s
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = proxies
        # Passwords of a .netrc go to nobody, and no cookie comes back.
        self._session.auth = lambda request: request
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        agent = f"geocell-fetch/{VERSION}" + (f" ({contact})" if contact else "")
        self._session.headers.update({"User-Agent": agent, "Accept-Encoding": "gzip"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=threads))

    def send(
        self,
        url: str,
        max_bytes: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return its answer; a redirection is returned and not followed.

        Raises:
            Retry: there is no whole answer (`TooLarge`, `BadAddress` among the reasons).
            Stopping: the run is being interrupted.
        """
        deadline = time.monotonic() + self._whole_answer_s
        body = bytearray()
        try:
            with self._session.get(
                url, params=params, headers=headers, timeout=self._timeout_s, stream=True, allow_redirects=False
            ) as response:
                if not response.is_redirect:
                    for chunk in self._chunks(response, deadline):
                        body += chunk
                        if len(body) > max_bytes:
                            raise TooLarge(f"over {max_bytes:,} bytes")
                said = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, bytes(body), retry_after_s(said.get("retry-after", "")), said)
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            UnicodeError,
        ) as error:
            raise BadAddress(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Retry(f"no whole answer ({type(error).__name__})") from None
        finally:
            with self._lock:
                self.received_bytes += len(body)

    def _chunks(self, response: requests.Response, deadline: float) -> Iterator[bytes]:
        """Yield a body as it comes; a body that is cut short or takes too long is a `Retry`."""
        said, received = response.headers.get("Content-Length", ""), 0
        # `read1` returns what is there; reading whole chunks would wait for them beyond every deadline.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            received += len(chunk)
            yield chunk
            if time.monotonic() > deadline:
                raise Retry("an answer that took too long")
            if self.stop.is_set():
                raise Stopping
        if said.isdigit() and "Content-Encoding" not in response.headers and received != int(said):
            raise Retry(f"{received:,} of {counted(int(said), 'byte')}")

    def try_often(
        self,
        once: Callable[[int], T],
        failed: Callable[[Retry], None] = lambda failure: None,
        damaged_tries: int = TRIES,
    ) -> T:
        """Return what `once`, given the number of the try, returns, after as many tries as it takes.

        Args:
            once: raises `Retry` where another try may work.
            failed: is told of every failed try; what it raises ends the tries.
            damaged_tries: after so many damaged answers no further one is asked for.

        Raises:
            Exhausted: all tries failed.
            Stopping: the run is being interrupted.
        """
        damaged = 0
        for attempt in range(TRIES):
            try:
                return once(attempt)
            except Retry as failure:
                damaged += isinstance(failure, Damaged)
                failed(failure)
                if damaged >= damaged_tries or attempt + 1 == TRIES:
                    raise Exhausted(str(failure), damaged >= damaged_tries) from None
                self._back_off(attempt)
        raise AssertionError("unreachable")

    def _back_off(self, attempt: int) -> None:
        """Wait any time up to a bound that doubles, so that threads that failed together do not ask together."""
        if self.stop.wait(random.uniform(0, min(LONGEST_BACKOFF_S, self._backoff_s * 2**attempt))):
            raise Stopping

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def retry_after_s(said: str) -> float | None:
    """Return how long a Retry-After asks to wait, given as seconds or as a date; None where it says nothing."""
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    # "inf" and "nan" are not times.
    return max(0.0, seconds) if seconds < 1e9 else None
