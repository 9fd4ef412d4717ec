"""Names of hosts, origins and sizes, as the guard before the app judges them."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.serve.guard import MOST_BYTES, UPLOADS, Guard, same_origin

LIMIT = 1000


async def echo(scope, receive, send):
    """Answer with the number of bytes of the body, as an application that reads all of it does."""
    read, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("the visitor left")
        read, more = read + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(read).encode()})


def asked(headers=(("host", "127.0.0.1:7860"),), chunks=(b"",), guard=None, **scope):
    """Return what a guard sends for a request."""
    guard = guard or Guard(echo, "127.0.0.1", most_bytes=LIMIT)
    sent, waiting = [], list(chunks)

    async def receive():
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    encoded = [(name.encode(), value.encode()) for name, value in headers]
    about = {"type": "http", "method": "POST", "path": "/", "headers": encoded, **scope}
    asyncio.run(guard(about, receive, send))
    return sent


def status_of(*given, **about):
    return asked(*given, **about)[0]["status"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "127.3.2.1", "LOCALHOST:1"]
)
def test_on_this_machine_its_own_names_are_answered(host):
    assert status_of([("host", host)]) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.5",
        "",
        "[",
        "0.0.0.0",
    ],
)
def test_other_names_are_refused_on_this_machine_as_after_dns_rebinding(host):
    sent = asked([("host", host)])
    assert sent[0]["status"] == 403
    assert "does not answer to" in json.loads(sent[1]["body"])["error"]


def test_two_hosts_or_none_are_refused():
    assert status_of([("host", "localhost"), ("host", "evil.example")]) == 403
    assert status_of([]) == 403


def test_a_server_for_others_answers_addresses_and_the_names_it_was_given():
    guard = Guard(echo, "0.0.0.0", ["photos.example.org"])
    assert [
        guard.knows(host) for host in ("10.1.2.3:7860", "photos.example.org", "PHOTOS.example.org:80", "[fe80::1]")
    ] == [True] * 4
    assert not guard.knows("evil.example")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:7860", "ftp://127.0.0.1"]
)
def test_a_request_of_another_site_is_refused(origin):
    sent = asked([("host", "127.0.0.1:7860"), ("origin", origin)])
    assert sent[0]["status"] == 403
    assert "another site" in json.loads(sent[1]["body"])["error"]


def test_its_own_pages_are_answered():
    assert (
        status_of([("host", "127.0.0.1:7860"), ("origin", "http://127.0.0.1:7860"), ("sec-fetch-site", "same-origin")])
        == 200
    )


@given(st.sampled_from(["http", "https"]), st.sampled_from(["localhost", "a.example", "[::1]"]), st.integers(1, 65535))
def test_an_origin_is_that_of_its_own_host_and_of_no_other_port(scheme, name, port):
    assert same_origin(f"{scheme}://{name}:{port}", f"{name}:{port}")
    assert not same_origin(f"{scheme}://{name}:{port % 65535 + 1}", f"{name}:{port}")
    assert same_origin(f"{scheme}://{name}", name)


def test_browsers_say_where_a_request_comes_from_even_without_an_origin():
    host = ("host", "127.0.0.1:7860")
    for site in ("cross-site", "same-site"):
        assert status_of([host, ("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")], method="GET") == 403
    visit = [host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    assert status_of(visit, method="GET") == 200
    assert status_of(visit, method="POST") == 403
    assert status_of([*visit[:-1], ("sec-fetch-dest", "iframe")], method="GET") == 403


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused_whether_its_size_is_declared_or_not(size, status, declared):
    host = ("host", "localhost")
    headers = [host, ("content-length", str(size))] if declared else [host]
    chunks = [b"x" * 100] * (size // 100) + [b"x" * (size % 100)]
    sent = asked(headers, chunks)
    assert sent[0]["status"] == status
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    if status == 200:
        assert sent[1]["body"] == str(size).encode()
    else:
        assert "the upload is larger than" in json.loads(sent[1]["body"])["error"]


def test_several_photographs_fit_into_one_upload_of_the_page():
    chunks, headers = [b"x" * 100] * 15, [("host", "localhost"), ("content-length", "1500")]
    assert status_of(headers, chunks, path=UPLOADS) == 200
    assert status_of(headers, chunks, path="/locate") == 413
    assert MOST_BYTES == 25 * 1024 * 1024


def test_a_size_that_is_no_number_is_refused():
    assert status_of([("host", "localhost"), ("content-length", "-1")]) == 400


def test_no_other_site_may_show_an_answer_in_a_frame():
    headers = dict(asked()[0]["headers"])
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_a_socket_of_another_site_is_closed():
    sent = asked([("host", "evil.example")], type="websocket")
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_what_is_offered_beside_the_app_and_writes_elsewhere_is_closed():
    assert status_of(path="/gradio_api/process_recording") == 404
