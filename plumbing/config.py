"""Frozen dataclasses as commands: flags by tyro, and YAML files as flags that nobody had to type."""

import contextlib
import dataclasses
import difflib
import errno
import importlib
import io
import logging
import os
import re
import select
import shlex
import sys
import traceback
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro
import yaml

from plumbing import logs
from plumbing.flags import Flag, first_sentence, flags_of
from plumbing.help import help_text, listing
from plumbing.interrupt import Interrupted
from plumbing.rules import check_rules
from plumbing.text import printable

Config = TypeVar("Config")

INTERRUPTED = "finished work is kept; the same command continues it, a training with --resume added"
"""What is said of an interrupted command whose config has no `INTERRUPTED` of its own."""

HELPS = {
    errno.ENOSPC: "free some space, then give the same command again",
    errno.EACCES: "name a folder that you may write to",
    errno.EPERM: "name a folder that you may write to",
    errno.EROFS: "name a folder that you may write to",
    errno.ENOTDIR: "a part of this path is a file: name a folder",
}
"""What helps where the system refuses, by its number of the reason."""

EXIT_BAD_INPUT = 2
"""Exit code of every refusal, the one that argparse and shells use."""

EXIT_NOBODY_READS = 128 + 13
"""Exit code where what reads the output has gone: that of a program which SIGPIPE ends."""


def parse(config: type[Config], prog: str, argv: Sequence[str] | None = None) -> Config:
    """Parse a command line into a config; a YAML file among the arguments stands for flags, and later ones win.

    Args:
        config: a frozen dataclass; the string under a field is its help text. One that has `from_arguments(prog, argv)`
            deals its arguments to others by that.
        prog: the command as a user types it.
        argv: the arguments, this process's own when None.

    Raises:
        ValueError: a flag is missing, unknown, refused or without effect, or a YAML file is missing, unreadable or has an
            unknown key.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if own := getattr(config, "from_arguments", None):
        dealt: Config = own(prog, words)
        return dealt
    if "-h" in words or "--help" in words:
        print(help_text(config, prog), end="")
        sys.exit(0)
    arguments: list[str] = []
    for word in words:
        arguments += _yaml_flags(Path(word), config, prog) if word.endswith((".yaml", ".yml")) else [word]
    _check_words(config, prog, arguments)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = tyro.cli(config, prog=prog, args=arguments)
    except SystemExit as leaving:
        raise ValueError(_refusal(leaving) or _in_one_line(said.getvalue())) from None
    # A recipe may write down defaults; a flag that is typed is meant to do something.
    check_rules(parsed, {flag.field for flag, _ in _typed(config, words)})
    return parsed


def _typed(config: type, words: Sequence[str]) -> list[tuple[Flag, list[str]]]:
    """Return the flags among the words of a command line, each with the words behind it.

    Raises:
        ValueError: there is no such flag.
    """
    known = {flag.written: flag for flag in flags_of(config) if not flag.positional}
    known |= {flag.negated: flag for flag in known.values() if flag.kind is bool}
    found: list[tuple[Flag, list[str]]] = []
    for word in words:
        if not re.match("--[A-Za-z]", word):
            if found:
                found[-1][1].append(word)
            continue
        name, given, value = word.partition("=")
        name = name.replace("_", "-")
        if name not in known:
            alike = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            meant = f"did you mean {alike[0]}? " if alike else ""
            raise ValueError(f"{name} is not a flag of this command: {meant}--help lists its flags")
        found.append((known[name], [value] if given else []))
    return found


def _check_words(config: type, prog: str, arguments: Sequence[str]) -> None:
    """Refuse, in one line each, what tyro would refuse in a box of several.

    Raises:
        ValueError: a flag is unknown, missing, without its value, or has one of another kind.
    """
    typed = _typed(config, arguments)
    for flag, words in typed:
        if flag.kind is bool:
            continue
        if not words and (not flag.many or flag.field in getattr(config, "NEEDS_VALUES", ())):
            raise ValueError(f"{flag.written} lacks its value: write {flag.written} {flag.metavar}")
        for word in words if flag.many else words[:1]:
            _check_word(config, flag, word)
    given = {flag.field for flag, _ in typed}
    for flag in flags_of(config):
        if flag.required and not flag.positional and flag.field not in given:
            raise ValueError(f"{flag.written} {flag.metavar} is missing: {flag.about} ({prog} --help says more)")


def _check_word(config: type, flag: Flag, word: str) -> None:
    if flag.optional and word == "None":
        return
    if flag.choices and word not in map(str, flag.choices):
        now = getattr(config, "RENAMED", {}).get(flag.field, {}).get(word)
        renamed = f"; {word} is now called {now}" if now else ""
        raise ValueError(f"{flag.written} is one of {', '.join(map(str, flag.choices))}, got {word!r}{renamed}")
    if flag.kind in (int, float):
        try:
            flag.kind(word)
        except ValueError:
            kind = "a whole number" if flag.kind is int else "a number"
            raise ValueError(
                f"{flag.written} takes {kind}, got {word!r}: write {flag.written} {flag.metavar}"
            ) from None


def _in_one_line(box: str) -> str:
    """Return what tyro says in a box as one line."""
    lines = [line.strip(" │\n") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    text = " ".join(line for line in lines if line and not line.startswith("─"))
    return text.partition(" For full helptext")[0] or "the command line makes no sense: --help says what it takes"


def _refusal(leaving: SystemExit) -> str | None:
    """Return what a `__post_init__` said, which tyro turns into a box of several lines and an exit."""
    cause: BaseException | None = leaving
    while cause is not None and not isinstance(cause, ValueError):
        cause = cause.__context__
    if cause is None or all(frame.name != "__post_init__" for frame in traceback.extract_tb(cause.__traceback__)):
        return None
    return str(cause)


def command(config: type[Config], prog: str, action: str, argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command to its exit code: parse, call one function, and turn a refusal into one line.

    Args:
        config: what the command takes.
        prog: the command as a user types it.
        action: `module:function` taking the config, imported only after parsing so that `--help` is instant.
        argv: the arguments, this process's own when None.
    """
    logs.to_terminal()
    handler: logging.Handler | None = None
    words: list[str] = []
    try:
        words, path = logs.without_log_file(sys.argv[1:] if argv is None else argv)
        parsed = parse(config, prog, words)
        handler = None if path is None else logs.to_file(path, shlex.join([*prog.split(), *words]))
        module, function = action.split(":")
        code = getattr(importlib.import_module(module), function)(parsed)
        sys.stdout.flush()
        logs.end(handler, "ended" if not code else f"ended with exit code {code}")
        sys.exit(code)
    except KeyboardInterrupt as stop:
        said = _interrupted_words(stop, config, [*prog.split(), *words])
        logs.end(handler, said, logging.WARNING)
        sys.exit(printable(said))
    except (ValueError, OSError) as refusal:
        if isinstance(refusal, BrokenPipeError) and _nobody_reads():
            logs.end(handler, "ended early: nobody reads what it prints")
            sys.exit(EXIT_NOBODY_READS)
        logs.end(handler, f"error: {_reason(refusal)}", logging.ERROR)
        if os.environ.get("DEBUG"):
            raise
        print(printable(f"error: {_reason(refusal)}"), file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except Exception:
        logs.end(handler, traceback.format_exc(), logging.ERROR)
        raise


def _nobody_reads() -> bool:
    """Say whether what reads standard output has gone, as `| head` goes; the rest is then printed to nowhere."""
    try:
        sys.stdout.flush()
        gone = _is_closed(sys.stdout.fileno())
    except BrokenPipeError:
        gone = True
    except io.UnsupportedOperation:
        return False
    if gone:
        # Or Python would complain when it flushes at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def _is_closed(descriptor: int) -> bool:
    """Say whether a pipe has lost its reader; what is not buffered leaves nothing behind that a flush would miss."""
    if sys.platform == "win32":
        return False
    waiting = select.poll()
    waiting.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0))


def _interrupted_words(stop: KeyboardInterrupt, config: type, words: Sequence[str]) -> str:
    """Return what to say of an interruption: what was kept, and the command that goes on."""
    if not isinstance(stop, Interrupted):
        return f"interrupted: {getattr(config, 'INTERRUPTED', INTERRUPTED)}"
    kept = [word for word in words if not word.endswith("overwrite")]
    again = shlex.join([*kept, *(flag for flag in stop.flags if flag not in kept)])
    return f"interrupted: {stop.kept}; `{again}` continues"


def _reason(refusal: ValueError | OSError) -> str:
    """Return why a command ended, with the file where the system names one."""
    if isinstance(refusal, OSError) and refusal.strerror:
        said = f"{refusal.strerror}: {refusal.filename}" if refusal.filename else refusal.strerror
        helps = HELPS.get(refusal.errno or 0, "")
        return f"{said}; {helps}" if helps else said
    return str(refusal)


Commands = Mapping[str, "tuple[type, str] | Commands"]
"""Verbs of a folder: each its config and `module:function`, or further verbs below it."""


def dispatch(prog: str, commands: Commands, argv: Sequence[str] | None = None, usual: str = "") -> NoReturn:
    """Run the command that the first argument names; alone, or with --help, list the verbs with a line each.

    Args:
        prog: the folder as a user types it, such as `python -m train`.
        commands: its verbs.
        argv: the arguments, this process's own when None.
        usual: the verb that is meant where photographs or flags stand in the place of one.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    chosen = commands.get(name)
    if isinstance(chosen, tuple):
        command(chosen[0], f"{prog} {name}", chosen[1], arguments[1:])
    if chosen is not None:
        dispatch(f"{prog} {name}", chosen, arguments[1:])
    if name in ("-h", "--help"):
        verbs = list(_verbs(commands))
        print(f"usage: {prog} VERB [flags]; {prog} VERB --help says more\n")
        print(listing(verbs, indent=max(len(verb) for verb, _ in verbs) + 4))
        sys.exit(0)
    print(f"error: {_without_verb(prog, commands, arguments, usual)}", file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)


def _without_verb(prog: str, commands: Commands, arguments: Sequence[str], usual: str) -> str:
    """Return what to say of arguments that begin with no verb."""
    name = arguments[0]
    if usual and (name.startswith("-") or "." in name or "/" in name or Path(name).exists()):
        return f"a verb is missing before {name}: write `{shlex.join([*prog.split(), usual, *arguments])}`"
    alike = difflib.get_close_matches(name, commands, n=1)
    meant = f"did you mean {alike[0]}? It" if alike else "it"
    return f"{prog} has no verb {name!r}: {meant} has {', '.join(commands)}"


def _verbs(commands: Commands, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield each verb, those below others too, with the first sentence of its config."""
    for name, chosen in commands.items():
        if isinstance(chosen, tuple):
            yield f"{before}{name}", first_sentence(chosen[0])
        else:
            yield from _verbs(chosen, f"{before}{name} ")


def as_plain(config: Any) -> Any:
    """Return a config as plain values that JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: as_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, list | tuple):
        return [as_plain(value) for value in config]
    if isinstance(config, Mapping):
        return {str(key): as_plain(value) for key, value in config.items()}
    return str(config) if isinstance(config, Path) else config


def _yaml_flags(path: Path, config: type, prog: str) -> list[str]:
    """Return the flags that a YAML file stands for."""
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text)
    # Dates that are none, endless numbers and nesting raise what Python raises of them.
    except (OSError, ValueError, RecursionError, TypeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        raise ValueError(f"cannot read the recipe {path}: {reason}") from None
    if not isinstance(values, Mapping):
        raise ValueError(f"{path} holds no `flag: value` lines")
    try:
        return _flags(values, config, path)
    except ValueError as refusal:
        raise ValueError(f"{refusal}{_written_for(path, text, prog)}") from None


def _written_for(path: Path, text: str, prog: str) -> str:
    """Return which commands the comments of a recipe give it to; empty where they name none, or this one."""
    named = re.findall(rf"^#.*(python -m \w+ \w+) \S*{re.escape(path.name)}\b", text, re.MULTILINE)
    if not named or any(prog.startswith(command) for command in named):
        return ""
    return f"; the recipe is for {' and '.join(f'`{command}`' for command in dict.fromkeys(named))}"


def _flags(values: Mapping[str, Any], config: type, path: Path, prefix: str = "") -> list[str]:
    hints = typing.get_type_hints(config)
    decided = getattr(config, "FIXED", ())
    names = {field.name: hints[field.name] for field in dataclasses.fields(config) if field.name not in decided}
    flags: list[str] = []
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in names:
            raise ValueError(
                f"{path} sets {prefix}{key}, which is not a flag of this command; it has: {', '.join(names)}"
            )
        flag = f"--{prefix}{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            if not dataclasses.is_dataclass(names[name]):
                raise ValueError(f"{path} sets flags below {prefix}{key}, which has none: give it a plain value")
            flags += _flags(value, names[name], path, f"{prefix}{name.replace('_', '-')}.")
        elif value is None and type(None) not in typing.get_args(names[name]):
            raise ValueError(f"{path} leaves {prefix}{key} empty: give it a value or delete the line")
        elif isinstance(value, list) and any(isinstance(item, list | Mapping | set) for item in value):
            raise ValueError(f"{path} sets lists within a list at {prefix}{key}: give plain values")
        elif isinstance(value, bool):
            flags.append(flag if value else f"--{prefix}no-{name.replace('_', '-')}")
        else:
            flags += [flag, *(str(item) for item in (value if isinstance(value, list) else [value]))]
    return flags
