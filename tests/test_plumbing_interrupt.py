"""Signals stop work at once, but never in the middle of what must be whole."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from plumbing.interrupt import interruptible


@pytest.fixture(autouse=True)
def heard():
    """Have Ctrl-C heard, which shells make jobs in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopped(work):
    """Say whether work was interrupted, and what the interruption knows."""
    with interruptible() as interruption:
        try:
            work(interruption)
        except KeyboardInterrupt:
            return True, interruption
    return False, interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_once_but_waits_for_a_block_that_is_to_be_whole(number):
    done = []

    def work(interruption):
        with interruption.whole():
            os.kill(os.getpid(), number)
            done.append("the rest of the block")
        done.append("what comes after")

    was, interruption = stopped(work)
    assert was
    assert done == ["the rest of the block"]
    assert interruption.pending
    assert not interruption.torn

    def unprotected(_):
        os.kill(os.getpid(), number)
        done.append("never")

    assert stopped(unprotected)[0]
    assert "never" not in done


def test_a_second_signal_does_not_cut_short_what_is_kept_after_the_first():
    kept = []
    with interruptible() as interruption:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            kept.append("all")
    assert kept == ["all"]
    assert interruption.pending


def test_what_fails_inside_of_a_block_is_known_to_be_torn():
    with interruptible() as interruption:
        with pytest.raises(RuntimeError), interruption.whole():
            raise RuntimeError("connection closed by peer")
        assert interruption.torn


def test_handlers_are_as_before_afterwards_and_ignored_signals_stay_ignored():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    code = (
        "import os, signal; from plumbing.interrupt import interruptible\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with interruptible(): os.kill(os.getpid(), signal.SIGINT)\n"
        "print('went on')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "went on\n"


def test_in_other_threads_nothing_is_installed():
    found = []
    before = signal.getsignal(signal.SIGTERM)

    def work():
        with interruptible():
            found.append(signal.getsignal(signal.SIGTERM) == before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]
