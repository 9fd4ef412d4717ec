"""`--help` of a config: required flags first, then by topic, each text reflowed to the terminal."""

import inspect
import shutil
import textwrap
from collections.abc import Sequence

from plumbing import logs
from plumbing.flags import OPTIONS, Flag, flags_of, group_titles, own_first, shown

WIDEST = 100
"""Longer lines are hard to read, however wide the terminal."""
INDENT = 26


def help_text(config: type, prog: str) -> str:
    """Return the help of a command.

    Args:
        config: what the command takes.
        prog: the command as a user types it.
    """
    flags = flags_of(config)
    required = [flag for flag in flags if flag.required]
    parts = [_usage(prog, flags), *_paragraphs(inspect.getdoc(config) or "")]
    if required:
        parts.append(_section("required", required))
    for title in group_titles(config):
        if others := [flag for flag in flags if flag.group == title and not flag.required]:
            parts.append(_section(title, own_first(config, others) if title == OPTIONS else others))
    parts.append("every command:\n" + listing([(f"{logs.FLAG} PATH", logs.ABOUT)]))
    return "\n\n".join(parts) + "\n"


def columns() -> int:
    """Return how wide a text may be."""
    return min(WIDEST, max(40, shutil.get_terminal_size((WIDEST, 24)).columns))


def listing(rows: Sequence[tuple[str, str]], indent: int = INDENT) -> str:
    """Return rows of a name and a text, each text wrapped beside its name, or below a long name."""
    lines = []
    for name, text in rows:
        about = textwrap.wrap(text, columns() - indent, break_long_words=False, break_on_hyphens=False)
        head = f"  {name}"
        if len(head) + 2 > indent or not about:
            lines += textwrap.wrap(head, columns(), subsequent_indent="      ", break_on_hyphens=False)
        else:
            lines.append(f"{head:<{indent}}{about.pop(0)}")
        lines += [f"{'':<{indent}}{line}" for line in about]
    return "\n".join(lines)


def _usage(prog: str, flags: Sequence[Flag]) -> str:
    first = sorted((flag for flag in flags if flag.required or flag.positional), key=lambda flag: not flag.positional)
    words = [_head(flag) if flag.required else f"[{_head(flag)}]" for flag in first]
    line = " ".join([f"usage: {prog}", *words, "[flags]"])
    return textwrap.fill(line, columns(), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _paragraphs(text: str) -> list[str]:
    return [
        textwrap.fill(" ".join(paragraph.split()), columns(), break_long_words=False, break_on_hyphens=False)
        for paragraph in text.split("\n\n")
    ]


def _section(title: str, flags: Sequence[Flag]) -> str:
    return f"{title}:\n" + listing([(_head(flag), _about(flag)) for flag in flags])


def _head(flag: Flag) -> str:
    """Return a flag with what follows it: `--coverage 0..1 ...`."""
    if flag.kind is bool:
        return f"{flag.written}, {flag.negated}" if flag.default else flag.written
    values = f"{flag.metavar} ..." if flag.many and " " not in flag.metavar else flag.metavar
    return values if flag.positional else f"{flag.written} {values}"


def _about(flag: Flag) -> str:
    """Return the help of a flag with its default, where one stands for itself."""
    if flag.required or flag.default is None or flag.default is False or shown(flag.default) == "":
        return flag.about
    default = flag.written if flag.default is True else shown(flag.default)
    return f"{flag.about} (default: {default})".lstrip()
