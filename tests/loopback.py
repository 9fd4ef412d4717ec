"""A server on this machine, for tests of what talks to servers: routes, faults, and a record of what was asked."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """What is sent.

    Attributes:
        status: of HTTP.
        body: whole.
        headers: besides Content-Length, which is that of the body unless it stands here.
        send: at most so many bytes of the body, then the connection breaks.
        stall_s: seconds of silence before the body.
        trickle_s: seconds between bytes.
        hang: after the bytes there is silence until the server ends, instead of a broken connection.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    send: int | None = None
    stall_s: float = 0
    trickle_s: float = 0
    hang: bool = False


DROP = Reply(status=0)
"""The connection ends without an answer."""

Route = Callable[[BaseHTTPRequestHandler], Reply]


class Loopback(ThreadingHTTPServer):
    """A server whose answers are functions of the request.

    Attributes:
        routes: answers by path without the query; `""` answers all other paths.
        asked: how often each path was asked for.
        most_at_once: most requests in flight.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {"": lambda request: Reply(404)}
        self.asked: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def gives(self, path: str, *replies: Reply | bytes) -> str:
        """Answer a path with one after the other, the last for ever; return its address."""
        left = [reply if isinstance(reply, Reply) else Reply(body=reply) for reply in replies]

        def answer(request: BaseHTTPRequestHandler) -> Reply:
            with self.lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.routes[path] = answer
        return self.url + path


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's routes say."""

    protocol_version = "HTTP/1.1"
    server: Loopback

    def do_GET(self) -> None:
        server, path = self.server, self.path.split("?")[0]
        with server.lock:
            server.asked[path] += 1
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            self._answer(server.routes.get(path, server.routes[""])(self))
        except OSError:
            self.close_connection = True
        finally:
            with server.lock:
                server.at_once -= 1

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, reply: Reply) -> None:
        if reply.status == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.flush()
        self.server.closing.wait(reply.stall_s) if reply.stall_s else None
        body = reply.body if reply.send is None else reply.body[: reply.send]
        if reply.trickle_s:
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(reply.trickle_s)
        else:
            self.wfile.write(body)
        if reply.hang:
            self.wfile.flush()
            self.server.closing.wait()
        self.close_connection = self.close_connection or reply.send is not None

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Serve until the block ends."""
    server = Loopback()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
