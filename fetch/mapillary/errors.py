"""Why a run ends early, each with its exit code; and what Mapillary says of a single picture."""

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


class Gone(Exception):
    """The picture was deleted or hidden at the source."""


class Expired(Exception):
    """The signed address of a picture is no longer accepted."""
