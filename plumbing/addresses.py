"""Which addresses are asked: https, and http on this machine alone."""

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

STORES = (
    "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "sftp", "ssh", "https", "memory", "file", "http",
)  # fmt: skip
"""Protocols of stores that hold files and name no others; http on this machine alone."""


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


def check_store(what: str, address: str) -> None:
    """Refuse an address of a store that is not one of those that only hold files, or that chains several.

    Others that fsspec opens read further files that an address names, and some have run what was in them.

    Raises:
        ValueError: it is of another protocol, or chained.
    """
    protocol = address.partition("://")[0].lower() if "://" in address else "file"
    if "::" in address or protocol not in STORES or (protocol in ("http", "https") and not is_allowed(address)):
        raise ValueError(
            f"{what} {address!r} is not opened: name a folder, or an address without '::' that begins with one of "
            f"{', '.join(f'{name}://' for name in STORES if name not in ('file', 'http'))}"
        )


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


def address_words(path: Path) -> str:
    """Return what to say of a path that is an address of the web, which was taken for a file; empty of another one."""
    is_address = re.match(r"(?:https?|ftp|s3|gs):/", str(path)) is not None
    return "; it is an address: download what is there, and name the file" if is_address else ""
