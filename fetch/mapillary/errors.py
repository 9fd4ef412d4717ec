"""Why a run ends early, each with its exit code; and what a single request can come to."""

# A name that says what happened needs no `Error` behind it.
# ruff: noqa: N818


class Stop(Exception):
    """A run ends, and what is done is kept.

    Attributes:
        exit_code: of the process.
    """

    exit_code = 1


class Refused(Stop):
    """The token is not accepted, or this address is blocked."""

    exit_code = 3


class QuotaSpent(Stop):
    """No tile may be requested before tomorrow."""

    exit_code = 4


class CircuitOpen(Stop):
    """The service fails so often that asking on would do harm."""

    exit_code = 5


class Stopping(Exception):
    """The run is being interrupted; whatever waits gives up."""


class RequestError(Exception):
    """A request that was not answered as wanted."""


class Retry(RequestError):
    """This try failed; another may not.

    Attributes:
        pause_s: how long nobody may ask, where the service says so; None where it only says to slow down.
        slow_down: whether the service asks for fewer requests.
        unhealthy: whether it says something about the service as a whole.
    """

    def __init__(self, message: str, pause_s: float | None = None, slow_down: bool = False, unhealthy: bool = True):
        super().__init__(message)
        self.pause_s = pause_s
        self.slow_down = slow_down
        self.unhealthy = unhealthy


class Damaged(Retry):
    """What came is not the picture that was asked for."""

    def __init__(self, message: str):
        super().__init__(message, unhealthy=False)


class Gone(RequestError):
    """The picture was deleted or hidden at the source."""


class Expired(RequestError):
    """The signed address of a picture is no longer accepted."""


class Exhausted(RequestError):
    """All tries are used up.

    Attributes:
        damaged: every try brought a damaged picture, so that it must be the source's.
    """

    def __init__(self, message: str, damaged: bool = False):
        super().__init__(message)
        self.damaged = damaged
