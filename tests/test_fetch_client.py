"""Pictures come whole or not at all, whatever servers do, and no address is asked without need."""

import io
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from PIL import Image

from fetch.client import TRIES, Answer, BadAddress, Client, Exhausted, Retry, TooLarge, retry_after_s
from fetch.download_config import DownloadConfig
from fetch.sources.downloads import (
    DAMAGED_TRIES,
    FAILED,
    Downloader,
    GoneError,
    PendingError,
    download,
    file_of,
)
from plumbing.addresses import is_allowed
from tests.loopback import DROP, Reply, loopback

QUICK = DownloadConfig(threads=4, requests_per_second=0, timeout_s=0.5, backoff_s=0.001, max_megabytes=0.1)


def jpeg(seed: int = 0, side: int = 32) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


@pytest.fixture
def server():
    with loopback() as running:
        yield running


PICTURE = jpeg()


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500),
        Reply(503, headers={"Retry-After": "0"}),
        Reply(429, headers={"Retry-After": "0"}),
        Reply(429),
        Reply(408),
        DROP,
        Reply(body=PICTURE, send=100),
        Reply(body=PICTURE[:-200]),
        Reply(body=b"<!DOCTYPE html><p>busy", headers={"Content-Type": "image/jpeg"}),
        Reply(body=b""),
        Reply(body=PICTURE, stall_s=2),
        Reply(body=PICTURE, trickle_s=0.01),
    ],
    ids=["500", "503", "429", "429-plain", "408", "dropped", "truncated", "cut", "html", "empty", "stall", "trickle"],
)
def test_a_fault_that_passes_costs_a_try_and_nothing_else(fault, server, tmp_path):
    address = server.gives("/a.jpg", fault, PICTURE)
    done = download([address], tmp_path, QUICK)
    assert (done.got, done.gone, done.pending) == (1, {}, {})
    assert file_of(tmp_path, address).read_bytes() == PICTURE
    assert server.asked["/a.jpg"] == 2
    assert [path.name for path in tmp_path.rglob("*.partial")] == []


@pytest.mark.parametrize(
    ("reply", "reason", "value", "asked"),
    [
        (Reply(404), "no longer at their address", "HTTP 404", 1),
        (Reply(410), "no longer at their address", "HTTP 410", 1),
        (Reply(403), "no longer at their address", "HTTP 403", 1),
        (Reply(body=b" <html>no"), "no pictures (or damaged) at their address", "HTML", DAMAGED_TRIES),
        (Reply(body=jpeg(0, 800)), "larger than --max-megabytes", "bytes", 1),
        (Reply(302, headers={"Location": "/a.jpg"}), "redirected without end", "/a.jpg", 6),
        (Reply(302, headers={"Location": "ftp://host/a"}), "not at an https address", "ftp://host/a", 1),
        (Reply(302, headers={"Location": "http://192.0.2.1/a"}), "not at an https address", "http://192.0.2.1/a", 1),
    ],
)
def test_an_address_that_will_never_give_a_picture_is_asked_for_once_in_all_runs(
    reply, reason, value, asked, server, tmp_path
):
    address = server.gives("/a.jpg", reply)
    for _ in range(2):
        done = download([address], tmp_path, QUICK)
        assert done.gone[address][0] == reason
        assert value in done.gone[address][1]
    assert server.asked["/a.jpg"] == asked
    assert not file_of(tmp_path, address).exists()


@pytest.mark.parametrize("fault", [Reply(500), Reply(429), DROP, Reply(body=PICTURE, send=9)])
def test_what_fails_every_time_stays_pending_and_comes_with_the_next_run(fault, server, tmp_path):
    address = server.gives("/a.jpg", *[fault] * TRIES, PICTURE)
    first = download([address], tmp_path, QUICK)
    assert list(first.pending) == [address]
    assert server.asked["/a.jpg"] == TRIES
    assert download([address], tmp_path, QUICK).got == 1


def test_what_lies_there_is_not_asked_for_again(server, tmp_path):
    addresses = [server.gives(f"/{i}.jpg", jpeg(i)) for i in range(30)]
    assert download(addresses * 2, tmp_path, QUICK).got == 30
    file_of(tmp_path, addresses[7]).unlink()
    assert download(addresses, tmp_path, QUICK).got == 1
    assert server.asked["/7.jpg"] == 2
    assert sum(server.asked.values()) == 31


def test_no_more_requests_are_in_flight_than_threads(server, tmp_path):
    addresses = [server.gives(f"/{i}.jpg", Reply(body=PICTURE, stall_s=0.02)) for i in range(40)]
    assert download(addresses, tmp_path, QUICK).got == 40
    assert 2 <= server.most_at_once <= QUICK.threads


def test_a_redirection_is_followed(server, tmp_path):
    server.gives("/b.jpg", PICTURE)
    address = server.gives("/a.jpg", Reply(301, headers={"Location": "/b.jpg"}))
    assert download([address], tmp_path, QUICK).got == 1


def test_retry_after_makes_the_whole_host_wait(server):
    address = server.gives("/a.jpg", Reply(429, headers={"Retry-After": "1"}), PICTURE)
    other = server.gives("/b.jpg", PICTURE)
    downloader = Downloader(QUICK)
    started = time.monotonic()
    assert downloader.get(address, len) == PICTURE
    assert downloader.get(other, len) == PICTURE
    assert 0.9 < time.monotonic() - started < 3
    downloader.close()


def test_a_server_that_asks_for_an_hour_is_left_alone(server, tmp_path):
    replies = Reply(429, headers={"Retry-After": "3600"})
    addresses = [server.gives(f"/{i}.jpg", replies) for i in range(50)]
    done = download(addresses, tmp_path, QUICK)
    assert len(done.pending) == 50
    assert sum(server.asked.values()) <= QUICK.threads


def test_requests_to_a_host_keep_the_pace(server, tmp_path):
    addresses = [server.gives(f"/{i}.jpg", PICTURE) for i in range(11)]
    started = time.monotonic()
    download(addresses, tmp_path, DownloadConfig(threads=8, requests_per_second=20))
    assert time.monotonic() - started >= 0.5


def test_where_nothing_answers_a_run_ends_early(tmp_path, caplog):
    with loopback() as gone:
        addresses = [f"{gone.url}/{i}.jpg" for i in range(200)]
    done = download(addresses, tmp_path, QUICK)
    assert len(done.pending) == 200
    assert "in a row did not come" in caplog.text


def test_a_torn_line_of_the_journal_is_passed_by(server, tmp_path):
    address = server.gives("/a.jpg", Reply(404))
    download([address], tmp_path, QUICK)
    with (tmp_path / FAILED).open("a") as journal:
        journal.write('{"address": "htt')
    assert list(download([address], tmp_path, QUICK).gone) == [address]
    assert server.asked["/a.jpg"] == 1


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/a.jpg", True),
        ("http://example.org/a.jpg", False),
        ("http://127.0.0.1:80/a.jpg", True),
        ("http://[::1]/a.jpg", True),
        ("http://localhost/a.jpg", True),
        ("http://localhost.example.org/a.jpg", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/a", False),
        ("https://", False),
        ("http://[::1/a", False),
        ("a.jpg", False),
        ("", False),
    ],
)
def test_only_https_and_this_machine_are_asked(url, allowed, tmp_path):
    assert is_allowed(url) is allowed
    if not allowed:
        assert download([url], tmp_path, QUICK).gone[url] == ("not at an https address", url)


def test_a_page_of_the_world_does_not_send_anybody_into_this_machine(server, monkeypatch):
    inside = server.gives("/secret", PICTURE)
    downloader = Downloader(QUICK)
    monkeypatch.setattr(downloader.client, "send", lambda url, limit: Answer(302, b"", headers={"location": inside}))
    with pytest.raises(GoneError):
        downloader.get("https://example.org/a.jpg", len)
    assert server.asked["/secret"] == 0


def test_an_interrupted_run_stops_asking(server):
    downloader = Downloader(QUICK)
    downloader.client.stop.set()
    with pytest.raises(PendingError, match="interrupted"):
        downloader.get(server.gives("/a.jpg", PICTURE), len)
    assert server.asked["/a.jpg"] == 0


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert retry_after_s("2.5") == 2.5
    assert retry_after_s("-1") == 0
    for nothing in ("", "soon", "inf", "nan"):
        assert retry_after_s(nothing) is None
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after_s(date) == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 0},
        {"requests_per_second": -1},
        {"timeout_s": 0},
        {"backoff_s": -1},
        {"max_megabytes": 0},
        {"contact": "a\nb"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="--"):
        DownloadConfig(**wrong)


def test_passwords_of_a_netrc_and_cookies_go_to_nobody_and_the_contact_does(server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent = []

    def answer(request):
        sent.append(dict(request.headers))
        return Reply(body=PICTURE, headers={"Set-Cookie": "id=1"})

    server.routes["/a.jpg"] = answer
    client = Client(4, 1, 2, 0.001, contact="us@example.org")
    for _ in range(2):
        assert client.send(f"{server.url}/a.jpg", 10**6).body == PICTURE
    client.close()
    assert all(not {"Authorization", "Cookie"} & set(headers) for headers in sent)
    assert all("us@example.org" in headers["User-Agent"] for headers in sent)
    assert client.received_bytes == 2 * len(PICTURE)


def test_the_client_returns_a_redirection_and_limits_an_answer(server):
    client = Client(4, 1, 2, 0.001)
    moved = client.send(server.gives("/a", Reply(302, b"x" * 999, headers={"Location": "/b"})), 10)
    assert (moved.status, moved.body, moved.headers["location"]) == (302, b"", "/b")
    with pytest.raises(TooLarge, match="over 10 bytes"):
        client.send(server.gives("/b", b"x" * 999), 10)
    with pytest.raises(BadAddress):
        client.send("https://", 10)
    client.close()


def test_tries_end_at_once_when_the_caller_says_so(server):
    client = Client(4, 1, 2, 0.0)
    asked = []

    def once(attempt):
        asked.append(attempt)
        raise Retry("busy")

    def failed(failure):
        raise ValueError(f"enough: {failure}")

    with pytest.raises(Exhausted, match="busy"):
        client.try_often(once)
    assert asked == list(range(TRIES))
    with pytest.raises(ValueError, match="enough: busy"):
        client.try_often(once, failed)
    assert len(asked) == TRIES + 1
