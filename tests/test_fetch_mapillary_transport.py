"""Requests: paced, retried, ended in time; and what every way of failing says and returns."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fetch.client import Answer, Exhausted, Pace, Retry
from fetch.mapillary.answers import check_status, read_json
from fetch.mapillary.api import Graph
from fetch.mapillary.cli import read_token, run
from fetch.mapillary.config import MapillaryConfig, ServiceConfig
from fetch.mapillary.errors import CircuitOpen, Expired, Gone, QuotaSpent, Refused
from fetch.mapillary.plan import plan
from fetch.mapillary.sdk import image_address
from fetch.mapillary.state import State
from fetch.mapillary.survey import survey
from fetch.mapillary.transport import WINDOW, Transport, circuit_pauses, scrub
from tests.mapillary_kills import flags, run_with_kills
from tests.mapillary_stub import HTML, TOKEN, Stub, World, _error

ROOT = Path(__file__).parents[1]
SECRET = TOKEN.split("|")[2]


@pytest.fixture(scope="module")
def world():
    return World(0, 300, gone_share=0.2)


def service(stub, **more):
    fast = {"requests_per_second": 0, "tiles_per_second": 0, "backoff_s": 0.01, "timeout_s": 0.4, "threads": 4}
    return ServiceConfig(graph_url=stub.url, tiles_url=stub.url, image_hosts=("127.0.0.1",), **{**fast, **more})


def ask(stub, transport, k=0):
    return transport.fetch("graph", image_address(int(stub.world.id[k]), stub.url), read_json, {"fields": "id"})


def ask_often(stub, transport):
    for _ in range(200):
        with contextlib.suppress(Exhausted):
            ask(stub, transport)


def present(world):
    return int((~world.gone).argmax())


@pytest.mark.parametrize("fault", ["500", "429", "429-after", "drop", "truncate", "html", "stall"])
def test_each_fault_costs_one_more_request(world, fault):
    with Stub(world) as stub:
        stub.scripted = [fault, fault]
        transport = Transport(service(stub), TOKEN)
        assert ask(stub, transport, present(world))["id"] == str(world.id[present(world)])
        transport.close()
    assert stub.count() == 3


@pytest.mark.parametrize(
    ("surface", "status", "body", "outcome"),
    [
        ("graph", 401, b"", Refused),
        ("graph", 400, _error("bad token", 190), Refused),
        ("tiles", 403, b"", Refused),
        ("graph", 400, _error("log in to see this page", 368, 1348007), Refused),
        ("graph", 200, _error("log in to see this page", 368, 1348007), Refused),
        ("graph", 400, _error("Object with ID '1' does not exist", 100, 33), Gone),
        ("graph", 400, _error("nonexisting field", 100), ValueError),
        ("graph", 200, _error("Application request limit reached", 4), Retry),
        ("graph", 400, _error("strange", 3), Retry),
        ("images", 403, b"URL signature expired", Expired),
        ("images", 404, b"", Expired),
        ("images", 302, b"", Expired),
        ("images", 429, b"", Retry),
        ("images", 503, b"", Retry),
        ("tiles", 302, b"", ValueError),
    ],
)
def test_what_an_answer_means(surface, status, body, outcome):
    with pytest.raises(outcome):
        check_status(surface, Answer(status, body), 0)


def test_a_refusal_without_a_reason_gets_one_more_try_and_no_more():
    with pytest.raises(ValueError, match="refuses a request"):
        check_status("graph", Answer(400, _error("strange", 3)), 1)


def test_tries_are_limited_and_what_failed_is_said(world):
    with Stub(world) as stub:
        stub.scripted = ["500"] * 6
        with pytest.raises(Exhausted, match=r"HTTP 500 \(Please reduce"):
            ask(stub, Transport(service(stub), TOKEN))
    assert stub.count() == 6


def test_a_429_pauses_all_threads_for_as_long_as_it_says(world):
    with Stub(world, retry_after="1") as stub:
        transport = Transport(service(stub), TOKEN)
        stub.scripted = ["429-after"]
        ask(stub, transport, present(world))
        stub.scripted = ["429-after"]
        first = threading.Thread(target=ask, args=(stub, transport, present(world)))
        first.start()
        while stub.scripted:
            time.sleep(0.01)
        time.sleep(0.1)
        started_at = time.monotonic()
        ask(stub, transport, present(world))
        assert time.monotonic() - started_at > 0.7
        first.join()


def test_the_pace_holds_for_all_threads_together():
    pace = Pace(50, threading.Event(), burst_s=2)
    started_at = time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.wait() for _ in range(40)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Two seconds' worth may go at once.
    assert (160 - 100) / 50 - 0.1 < time.monotonic() - started_at < 2.5


def test_where_most_requests_fail_the_run_ends(world):
    with Stub(world, fault_share=1.0, faults=("500",)) as stub:
        transport = Transport(service(stub, backoff_s=0.0), TOKEN, circuit_pause_s=0.01)
        stub.scripted = [""]
        ask(stub, transport, present(world))
        with pytest.raises(CircuitOpen, match="more than half of the requests fail"):
            ask_often(stub, transport)
    assert 300 < stub.count() < 700


def test_pauses_begin_with_seconds_and_double_up_to_the_longest():
    assert circuit_pauses() == [5, 10, 20, 40, 80, 160, 300, 300]
    assert circuit_pauses(0.01) == [0.01, 0.01]


def test_each_pause_is_said_in_the_log_and_on_the_progress_line(world, monkeypatch, caplog):
    monkeypatch.setattr("fetch.mapillary.transport.FIRST_PAUSE_S", 0.01)
    told: list[str] = []
    with Stub(world, fault_share=1.0, faults=("500",)) as stub:
        transport = Transport(service(stub, backoff_s=0.0), TOKEN, circuit_pause_s=0.04)
        stub.scripted = [""]
        ask(stub, transport, present(world))
        with transport.telling(told.append), pytest.raises(CircuitOpen):
            ask_often(stub, transport)
    seconds = [text.split("paused for ")[1] for text in told]
    assert seconds == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]
    assert told[0].startswith("more than half of the requests fail, the last: HTTP 500 (")
    assert [r.getMessage().split("for ")[-1] for r in caplog.records if "nothing is asked" in r.getMessage()] == seconds


def test_a_service_that_is_well_again_is_paused_for_seconds_the_next_time(world):
    with Stub(world) as stub:
        transport = Transport(service(stub), TOKEN)
        transport._worked("graph")
        for openings in (1, 2):
            for _ in range(WINDOW):
                transport._failed("graph", Retry("HTTP 500"))
            assert transport._openings == openings
        for _ in range(WINDOW):
            transport._worked("graph")
        assert transport._openings == 0


def test_a_long_pause_that_the_service_asks_for_is_said_and_its_end_too(world, monkeypatch, caplog):
    monkeypatch.setattr("fetch.mapillary.transport.SAID_PAUSE_S", 0.5)
    told: list[str] = []
    with Stub(world) as stub:
        transport = Transport(service(stub), TOKEN)
        with transport.telling(told.append):
            for _ in range(3):
                transport._failed("tiles", Retry("too many requests", 0.5, slow_down=True))
            transport._worked("graph")
            assert told == ["the service is asked too often (tiles), paused for 0.5 s"]
            time.sleep(0.6)
            transport._worked("tiles")
    assert told[1:] == [""]
    assert caplog.text.count("nothing is asked for 0.5 s") == 1


def test_a_batch_that_is_too_much_is_halved(world):
    ids = world.id[~world.gone][:40].tolist()
    with Stub(world) as stub:
        stub.scripted = ["500"] * 6
        described = Graph(service(stub), Transport(service(stub), TOKEN)).describe(ids)
    assert sorted(described.facts) == ids
    assert sorted(described.urls) == ids
    assert stub.count() == 8


def test_what_a_batch_leaves_out_is_gone_only_when_asked_alone(world):
    ids = world.id[:50].tolist()
    with Stub(world) as stub:
        described = Graph(service(stub), Transport(service(stub), TOKEN)).describe(ids)
    assert sorted(described.gone) == world.id[:50][world.gone[:50]].tolist()
    assert len(described.facts) + len(described.gone) == 50
    assert stub.count() == 1 + len(described.gone)


def test_pictures_are_taken_from_allowed_hosts_only(world):
    with Stub(world) as stub:
        transport = Transport(service(stub), TOKEN)
        for url in ("https://example.org/a.jpg", "https://127.0.0.1.example.org/a.jpg", "ftp://x/a.jpg"):
            with pytest.raises(ValueError, match="--image-hosts"):
                transport.fetch("images", url, lambda answer: answer)
        allowed = Transport(ServiceConfig(), TOKEN)
        with pytest.raises(ValueError, match="--image-hosts"):
            allowed.fetch("images", "http://scontent.fbcdn.net/a.jpg", lambda answer: answer)


@pytest.mark.parametrize(
    "url", ["http://example.org", "ftp://127.0.0.1", "https://user:word@host", "https://h/?access_token=x", "x"]
)
def test_addresses_over_which_a_token_could_be_read_are_refused(url):
    with pytest.raises(ValueError, match="--graph-url"):
        ServiceConfig(graph_url=url)


def test_errors_repeat_no_token():
    assert SECRET not in scrub(f"bad {TOKEN} at ?access_token={SECRET}&x, OAuth {SECRET}")


def test_the_token_is_one_word_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MAPILLARY_TOKEN", raising=False)
    with pytest.raises(ValueError, match="no access token in MAPILLARY_TOKEN"):
        read_token(ServiceConfig())
    monkeypatch.setenv("MAPILLARY_TOKEN", "a b")
    with pytest.raises(ValueError, match="it is one word"):
        read_token(ServiceConfig())
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(ServiceConfig(token_file=tmp_path / "token")) == TOKEN


def command(stub, out, *more, token=TOKEN, stage="all"):
    """Return exit code and what a run of the command says."""
    flags = [f"--out={out}", f"--graph-url={stub.url}", f"--tiles-url={stub.url}", "--image-hosts=127.0.0.1"]
    flags += ["--requests-per-second=0", "--tiles-per-second=0", "--backoff-s=0.01", "--cells=0/1", *more]
    done = subprocess.run(
        [sys.executable, "-m", "fetch", "mapillary", stage, *flags],
        cwd=ROOT,
        env={**os.environ, "MAPILLARY_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr.strip().splitlines()


@pytest.mark.slow
def test_a_wrong_token_is_one_line_and_exit_code_3(world, tmp_path):
    with Stub(world, token="another") as stub:
        code, said = command(stub, tmp_path)
    assert (code, len(said)) == (3, 1)
    assert said[0].startswith("error: the token is not accepted (Error validating application)")


@pytest.mark.slow
def test_a_blocked_address_is_one_line_and_exit_code_3(world, tmp_path):
    blocked = {"error": {"message": "log in to see this page", "code": 368, "error_subcode": 1348007}}
    with Stub(world, refuse=blocked) as stub:
        code, said = command(stub, tmp_path)
    assert (code, len(said)) == (3, 1)
    assert "this address is blocked for a while (log in to see this page): wait some hours" in said[0]


@pytest.mark.slow
def test_a_spent_quota_is_exit_code_4_and_the_next_day_continues(world, tmp_path):
    with Stub(world) as stub:
        code, said = command(stub, tmp_path, "--tiles-per-day=10", stage="survey")
        assert (code, stub.count("tiles")) == (4, 10)
        assert "the limit of 10 tiles for" in said[-1]
        assert command(stub, tmp_path, "--tiles-per-day=10", stage="survey")[0] == 4
        assert stub.count("tiles") == 10
        assert command(stub, tmp_path, stage="survey")[0] == 0
        assert len({path for _, path in stub.log}) == len(stub.log)


@pytest.mark.slow
def test_a_service_out_of_reach_is_one_line_and_exit_code_5(world, tmp_path):
    with Stub(world) as stub:
        pass
    code, said = command(stub, tmp_path)
    assert (code, len(said)) == (5, 1)
    assert said[0].startswith("error: the service cannot be reached")


@pytest.mark.slow
def test_bad_input_is_one_line_and_exit_code_2(world, tmp_path):
    (tmp_path / "file").write_text("")
    with Stub(world) as stub:
        for out, more, token, words in (
            (tmp_path / "file", (), TOKEN, "is a file"),
            (tmp_path / "file" / "below", (), TOKEN, "Not a directory"),
            (tmp_path, (), "", "there is no access token"),
            (tmp_path, ("--graph-url=http://example.org",), TOKEN, "must be https"),
        ):
            code, said = command(stub, out, *more, token=token)
            assert (code, len(said)) == (2, 1), said
            assert words in said[0]


def test_a_clock_in_the_past_is_refused(tmp_path):
    State(tmp_path, lambda: datetime(2031, 5, 5, tzinfo=UTC).timestamp()).close()
    with pytest.raises(ValueError, match="says 2031-05-04, but it was 2031-05-05 before: set the clock"):
        State(tmp_path, lambda: datetime(2031, 5, 4, tzinfo=UTC).timestamp())
    with pytest.raises(ValueError, match="says 1970-01-01"):
        State(tmp_path / "new", lambda: 0.0)


def test_the_quota_is_of_the_day_and_persists(tmp_path):
    for hour in (1, 2):
        state = State(tmp_path, lambda hour=hour: datetime(2031, 5, 5, hour, tzinfo=UTC).timestamp())
        state.spend_tile(2)
        state.close()
    state = State(tmp_path, lambda: datetime(2031, 5, 5, 23, tzinfo=UTC).timestamp())
    with pytest.raises(QuotaSpent, match="the limit of 2 tiles for 2031-05-05"):
        state.spend_tile(2)
    state.close()
    state = State(tmp_path, lambda: datetime(2031, 5, 6, tzinfo=UTC).timestamp())
    state.spend_tile(2)
    state.close()


def test_one_process_at_a_time_works_on_a_dataset(tmp_path):
    state = State(tmp_path)
    with pytest.raises(ValueError, match="another process works on"):
        State(tmp_path)
    state.close()
    State(tmp_path).close()


def test_a_state_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "mapillary.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match="cannot be used"):
        State(tmp_path)


def test_an_interrupted_survey_continues_and_a_tile_that_fails_is_not_empty(world, tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_TOKEN", TOKEN)
    with Stub(world) as stub:
        settings = {"graph_url": stub.url, "tiles_url": stub.url, "backoff_s": 0.0, "requests_per_second": 0}
        more = {"tiles_per_second": 0, "threads": 1, "bbox": (5.0, 1.0, 6.0, 30.0)}
        config = MapillaryConfig(out=tmp_path, stage="survey", **more, **settings)
        state = State(tmp_path)
        stub.scripted = ["", *["html"] * 6, "", *["html"] * 12]
        with pytest.raises(CircuitOpen, match="1 of 3 tiles of the survey did not come"):
            survey(config, state, Transport(config, TOKEN))
        with pytest.raises(ValueError, match="the survey lacks 1 tile: run"):
            plan(config, state)
        survey(config, state, Transport(config, TOKEN))
        assert stub.count() == 21
        state.close()
        assert run(config) == 0
        assert stub.count() == 21


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_stored_and_the_same_command_continues(tmp_path):
    region = (-27.0, 22.0, -14.0, 38.0)
    more = {"threads": 4, "bbox": region, "max-per-sequence": 6}
    with Stub(World(0, 4000, bbox=region), latency_s=0.05) as stub:
        words = flags(stub, tmp_path, 8, **more)
        process = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, "MAPILLARY_TOKEN": TOKEN}, stderr=subprocess.PIPE, text=True
        )
        while stub.count("images") < 20:
            time.sleep(0.05)
        process.terminate()
        said = process.communicate(timeout=30)[1]
        assert process.returncode == 1
        assert said.splitlines()[-1].startswith("interrupted: finished work is kept")
        with sqlite3.connect(tmp_path / "mapillary.sqlite") as db:
            assert db.execute("select count(*) from picture").fetchone()[0] >= 16
        assert not list((tmp_path / ".partial").iterdir())
        asked = Counter(path.split("?")[0] for surface, path in stub.log if surface == "images")
        stub.latency_s = 0
        run_with_kills(stub, tmp_path, 0, 8, **more)
        again = Counter(path.split("?")[0] for surface, path in stub.log if surface == "images") - asked
    # Only what was in flight is asked for twice.
    assert len(set(again) & set(asked)) <= 4


def test_html_is_no_json():
    with pytest.raises(Retry):
        read_json(Answer(200, HTML))
