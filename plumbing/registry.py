"""Choices by name: one table says what there is, which flags are its own, and what makes it. Nothing heavy is imported."""

import difflib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from plumbing.rules import Rule, needs

ALIKE = 0.75
"""How similar a mistyped name is to one that is asked about, as difflib counts."""


@dataclass(frozen=True)
class Entry:
    """One choice.

    Attributes:
        home: `module` or `module:attribute`, imported when it is asked for.
        about: a few words for --help.
        flags: fields of a config that mean something with this choice, and with no choice that does not name them.
        meant_by: names by which people ask for this choice; they are refused with its name.
    """

    home: str
    about: str
    flags: tuple[str, ...] = ()
    meant_by: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import what the entry names."""
        module, _, attribute = self.home.partition(":")
        loaded = importlib.import_module(module)
        return attrgetter(attribute)(loaded) if attribute else loaded


class Registry(Mapping[str, Entry]):
    """The choices of one flag; an unknown name is an error that lists the known ones and asks about one like it.

    Example:
        >>> fruits = Registry("fruit", {"apple": Entry("json:loads", "an apple")})
        >>> fruits["pear"]
        Traceback (most recent call last):
        ValueError: there is no fruit 'pear'; there are: apple
    """

    def __init__(self, what: str, entries: Mapping[str, Entry]) -> None:
        """Begin with some choices; `what` is the word for one of them, and its flag."""
        self.what = what
        self._entries = dict(entries)

    def register(self, name: str, entry: Entry) -> None:
        """Add a choice.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(
                f"there is a {self.what} {name!r} already, {self._entries[name].home}: choose another name"
            )
        self._entries[name] = entry

    def forget(self, name: str) -> None:
        """Take a choice out again."""
        del self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        """Return a choice.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self._entries:
            raise ValueError(
                f"there is no {self.what} {name!r}; there are: {', '.join(self._entries)}{self._meant(name)}"
            )
        return self._entries[name]

    def _meant(self, name: str) -> str:
        """Return words that ask whether another choice was meant; empty where none is alike."""
        asked = {word: own for own, entry in self._entries.items() for word in (own, *entry.meant_by)}
        alike = difflib.get_close_matches(name.lower(), asked, n=1, cutoff=ALIKE)
        return f"; did you mean {asked[alike[0]]}?" if alike else ""

    def __contains__(self, name: object) -> bool:
        """Return whether there is a choice of that name."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many choices there are."""
        return len(self._entries)

    def metavar(self) -> str:
        """Return the names as --help shows them."""
        return "{" + ",".join(self._entries) + "}"

    def help(self) -> str:
        """Return the names with a few words each."""
        return "; ".join(f"{name}: {entry.about}" for name, entry in self._entries.items())

    def rules(self) -> list[Rule]:
        """Return that each choice's own flags have an effect only with it."""
        flags = dict.fromkeys(flag for entry in self._entries.values() for flag in entry.flags)
        users = {flag: [name for name, entry in self._entries.items() if flag in entry.flags] for flag in flags}
        return [needs(flag, self.what, *names) for flag, names in users.items()]
