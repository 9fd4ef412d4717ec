"""Flags of the commands that download pictures, and the refusal of flags without effect."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from plumbing.flags import Groups, shown


def refuse_idle(config: Any, names: tuple[str, ...], why: str) -> None:
    """Refuse flags that differ from their defaults although they have no effect.

    Raises:
        ValueError: one does; `why` is the rest of the sentence after "has no effect".
    """
    default = {field.name: field.default for field in fields(config)}
    for name in names:
        value = getattr(config, name)
        if value != default[name]:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag} {shown(value)} has no effect {why}: leave {flag} out")


@dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """How gently pictures are asked for at their addresses; every command that downloads takes these."""

    GROUPS: ClassVar[Groups] = {
        "downloads": "threads requests_per_second timeout_s backoff_s max_megabytes contact",
    }

    threads: int = 16
    """At most this many requests in flight."""
    requests_per_second: float = 20.0
    """Requests to each host; 0 is without a limit."""
    timeout_s: float = 30.0
    """Longest silence of a server; a whole answer may take four times as long."""
    backoff_s: float = 1.0
    """Longest wait before the first new try; it doubles with each further one, up to a minute."""
    max_megabytes: float = 25.0
    """Larger pictures are left out."""
    contact: str = ""
    """Address for the operators of a server to write to, sent with every request."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.threads <= 128:
            raise ValueError(f"--threads must be 1 to 128, got {self.threads}")
        if self.requests_per_second < 0:
            raise ValueError(f"--requests-per-second must be 0 (no limit) or more, got {self.requests_per_second:g}")
        if self.timeout_s <= 0 or self.backoff_s < 0 or self.max_megabytes <= 0:
            raise ValueError("--timeout-s and --max-megabytes must be above 0, --backoff-s 0 or more")
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ValueError(f"--contact must be plain ASCII, got {self.contact!r}")

    def refuse_downloads(self, why: str, *kept: str) -> None:
        """Refuse the flags of downloads where nothing is downloaded, except those that are `kept`.

        Raises:
            ValueError: one is given.
        """
        names = tuple(field.name for field in fields(DownloadConfig) if field.name not in kept)
        refuse_idle(self, names, why)
