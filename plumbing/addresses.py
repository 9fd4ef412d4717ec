"""Which addresses are asked: https, and http on this machine alone."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_allowed(url: str) -> bool:
    """Say whether an address is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def check_address(flag: str, url: str) -> None:
    """Refuse an address that others could read along or change on the way.

    Raises:
        ValueError: it is not https, unless it is this machine.
    """
    if not is_allowed(url):
        raise ValueError(f"{flag} must be an https address (http only on this machine), got {url!r}")


def check_tiles(flag: str, url: str) -> None:
    """Refuse an address that a map cannot take tiles from.

    Raises:
        ValueError: it is not an http(s) address with {x}, {y} and {z}.
    """
    if not url.startswith(("https://", "http://")) or not all(part in url for part in ("{x}", "{y}", "{z}")):
        raise ValueError(
            f"{flag} must be an http(s) address with {{x}}, {{y}} and {{z}}, got {url!r}: write it as in "
            "https://tile.example.org/{z}/{x}/{y}.png"
        )
