"""Ctrl-C and SIGTERM during long work: what may not be cut in half ends first, and what was kept is said."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """An interruption, with what was kept.

    Attributes:
        kept: what was done and kept, as a part of a sentence.
        flags: those that the same command needs in order to go on.
    """

    def __init__(self, kept: str, flags: tuple[str, ...] = ()) -> None:
        """Say what was kept, and with which flags the same command goes on."""
        super().__init__(kept)
        self.kept, self.flags = kept, flags


class Interruption:
    """Whether some work is asked to stop.

    Attributes:
        pending: a signal has come.
        torn: something failed inside a block that should have been whole.
    """

    def __init__(self) -> None:
        self.pending = self.torn = False
        self._held = self._over = False

    def arrived(self, number: int, frame: FrameType | None) -> None:
        """Stop now, or at the end of a block that is to be whole; once stopping, signals have no effect."""
        if self._over:
            return
        self.pending = True
        if not self._held:
            self._stop()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Let a block end before it is interrupted."""
        self._held = True
        try:
            yield
        except BaseException:
            self.torn = True
            raise
        finally:
            self._held = False
        if self.pending:
            self._stop()

    def _stop(self) -> None:
        self._over = True
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Have Ctrl-C and SIGTERM raise KeyboardInterrupt in a block, but not inside of `whole`.

    Signals that the process ignores, as jobs in the background do, stay ignored. Threads other than the main one get none.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, interruption.arrived)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
