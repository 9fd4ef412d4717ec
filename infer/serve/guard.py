"""What stands before every page and endpoint: names of hosts, origins of requests, sizes of uploads, headers of answers.

A browser sends requests to this machine for any page that asks it to. Two things give such a page away. After DNS rebinding
the `Host` header names the page's own server. A cross-site request has another `Origin` than its `Host`, or `Sec-Fetch-Site`
says so. Both are refused before anything else is read.
"""

import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from plumbing.addresses import is_loopback

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BYTES = 25 * 1024 * 1024
"""Of one photograph, and of the body of a request."""
MOST_AT_ONCE = 12
"""Photographs of that size in one request to the page's upload, where each is limited by itself too."""
DRAINED = 16
"""So many times the limit is read and dropped, so that a client that sends before it reads sees the answer."""
UPLOADS = "/gradio_api/upload"
CLOSED = ("/gradio_api/process_recording",)
"""What gradio offers and nothing here needs: it writes outside the folder that is cleared."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
)
"""Added to every answer: no other site may show it in a frame or read it."""


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, host: str, names: Iterable[str] = (), most_bytes: int = MOST_BYTES) -> None:
        """Guard an application.

        Args:
            app: what answers.
            host: address that the server listens at.
            names: further names by which it may be asked.
            most_bytes: of a body.
        """
        self._app, self._most = app, most_bytes
        self._loopback = is_loopback(host)
        self._names = {name.lower() for name in (host, *names)}
        if not self._loopback:
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        if problem := self._problem(scope, headers):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refuse(send, *problem)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._limited(scope, dict(headers), receive, send)

    def _problem(self, scope: Message, headers: list[tuple[str, str]]) -> tuple[int, str] | None:
        """Return the status and the line with which a request is refused; None of a good one."""
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) != 1 or not self.knows(hosts[0]):
            asked = ", ".join(map(repr, hosts)) or "no name"
            return 403, f"this server does not answer to {asked}: ask it by its address, or start it with --hosts NAME"
        if any(not same_origin(value, hosts[0]) for name, value in headers if name == "origin"):
            return 403, "the request comes from another site: open this server's own page"
        site = next((value for name, value in headers if name == "sec-fetch-site"), "none")
        if site not in ("none", "same-origin") and not _is_visit(scope, dict(headers)):
            return 403, "the request comes from another site: open this server's own page"
        if scope.get("path", "").rstrip("/") in CLOSED:
            return 404, "there is nothing here"
        return None

    def knows(self, host: str) -> bool:
        """Say whether a Host header names this server; an address of numbers cannot be rebound to another machine."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or is_loopback(name):
            return True
        return not self._loopback and _is_address(name)

    async def _limited(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        most = self._most * (MOST_AT_ONCE if scope["path"] == UPLOADS else 1)
        line = f"the upload is larger than {most // 1024**2} MB: send a smaller photograph"
        declared = headers.get("content-length", "0")
        if not declared.isdecimal():
            await refuse(send, 400, f"Content-Length is a number of bytes, got {declared!r}")
            return
        if int(declared) > most:
            await _drain(receive, DRAINED * most)
            await refuse(send, 413, line)
            return
        read, over, started = 0, False, False

        async def counted() -> Message:
            nonlocal read, over
            message = await receive()
            read += len(message.get("body", b""))
            if read <= most or over:
                return message if not over else {"type": "http.disconnect"}
            over = True
            if message.get("more_body"):
                await _drain(receive, DRAINED * most)
            if not started:
                await refuse(send, 413, line)
            return {"type": "http.disconnect"}

        async def answered(message: Message) -> None:
            nonlocal started
            if over:
                return
            if message["type"] == "http.response.start":
                started = True
                own = {name for name, _ in message["headers"]}
                added = [pair for pair in HEADERS if pair[0] not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            await self._app(scope, counted, answered)
        except Exception:
            # An application that was cut off in the middle of a body that is too large may say so.
            if not over:
                raise


def same_origin(origin: str, host: str) -> bool:
    """Say whether an Origin header names the same name and port as a Host header."""
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        standard = {"http": 80, "https": 443}[theirs.scheme]
        return (ours.hostname, ours.port or standard) == (theirs.hostname, theirs.port or standard)
    except (KeyError, ValueError):
        return False


def _is_visit(scope: Message, headers: dict[str, str]) -> bool:
    """Say whether somebody followed a link to a page, which tells the other site nothing."""
    return (
        scope.get("method") in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _drain(receive: Receive, most: int) -> None:
    """Read and drop what is left of a body."""
    dropped = 0
    while dropped <= most:
        message = await receive()
        dropped += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


async def refuse(send: Send, status: int, line: str) -> None:
    """Answer with a status and one line, as JSON."""
    body = json.dumps({"error": line}, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
