"""Frozen dataclasses as commands: flags by tyro, and YAML files as flags that nobody had to type."""

import contextlib
import dataclasses
import importlib
import inspect
import io
import logging
import os
import sys
import traceback
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro
import yaml

Config = TypeVar("Config")

EXIT_BAD_INPUT = 2
"""Exit code of every refusal, the one that argparse and shells use."""


def parse(config: type[Config], prog: str, argv: Sequence[str] | None = None) -> Config:
    """Parse a command line into a config; a YAML file among the arguments stands for flags, and later ones win.

    Args:
        config: a frozen dataclass; the string under a field is its help text.
        prog: the command as a user types it.
        argv: the arguments, this process's own when None.

    Raises:
        ValueError: the config refuses a value, or a YAML file is missing, unreadable or has an unknown key.
    """
    arguments: list[str] = []
    for argument in sys.argv[1:] if argv is None else argv:
        arguments += _yaml_flags(Path(argument), config) if argument.endswith((".yaml", ".yml")) else [argument]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(config, prog=prog, args=arguments, description=inspect.getdoc(config) or "")
    except SystemExit as leaving:
        if refusal := _refusal(leaving):
            raise ValueError(refusal) from None
        sys.stderr.write(said.getvalue())
        raise


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
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        parsed = parse(config, prog, argv)
        module, function = action.split(":")
        sys.exit(getattr(importlib.import_module(module), function)(parsed))
    except KeyboardInterrupt:
        sys.exit("interrupted: what is finished is kept; the same command continues, a training with --resume")
    except (ValueError, OSError) as refusal:
        if os.environ.get("DEBUG"):
            raise
        print(f"error: {refusal}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


Commands = Mapping[str, "tuple[type, str] | Commands"]
"""Verbs of a folder: each its config and `module:function`, or further verbs below it."""


def dispatch(prog: str, commands: Commands, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the first argument names; alone, or with --help, list the verbs with a line each.

    Args:
        prog: the folder as a user types it, such as `python -m train`.
        commands: its verbs.
        argv: the arguments, this process's own when None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    chosen = commands.get(name)
    if isinstance(chosen, tuple):
        command(chosen[0], f"{prog} {name}", chosen[1], arguments[1:])
    if chosen is not None:
        dispatch(f"{prog} {name}", chosen, arguments[1:])
    if name in ("-h", "--help"):
        print(f"usage: {prog} VERB [flags]; {prog} VERB --help says more\n\n{_listing(commands)}")
        sys.exit(0)
    print(f"error: {prog} has no verb {name!r}; it has: {', '.join(commands)}", file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)


def _listing(commands: Commands) -> str:
    lines = []
    for name, chosen in commands.items():
        about = (chosen[0].__doc__ or "").strip().splitlines()[0] if isinstance(chosen, tuple) else " | ".join(chosen)
        lines.append(f"  {name:<12}{about}")
    return "\n".join(lines)


def as_plain(config: Any) -> Any:
    """Return a config as plain values that JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: as_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, list | tuple):
        return [as_plain(value) for value in config]
    if isinstance(config, Mapping):
        return {str(key): as_plain(value) for key, value in config.items()}
    return str(config) if isinstance(config, Path) else config


def _yaml_flags(path: Path, config: type) -> list[str]:
    """Return the flags that a YAML file stands for."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read the recipe {path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, Mapping):
        raise ValueError(f"{path} holds no `flag: value` lines")
    return _flags(values, config, path)


def _flags(values: Mapping[str, Any], config: type, path: Path, prefix: str = "") -> list[str]:
    hints = typing.get_type_hints(config)
    flags: list[str] = []
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in hints:
            raise ValueError(f"{path} sets {prefix}{key}, which is no flag of this command; it has: {', '.join(hints)}")
        flag = f"--{prefix}{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            if not dataclasses.is_dataclass(hints[name]):
                raise ValueError(f"{path} sets flags below {prefix}{key}, which has none: give it a plain value")
            flags += _flags(value, hints[name], path, f"{prefix}{name.replace('_', '-')}.")
        elif value is None and type(None) not in typing.get_args(hints[name]):
            raise ValueError(f"{path} leaves {prefix}{key} empty: give it a value or delete the line")
        elif isinstance(value, bool):
            flags.append(flag if value else f"--{prefix}no-{name.replace('_', '-')}")
        else:
            flags += [flag, *(str(item) for item in (value if isinstance(value, list) else [value]))]
    return flags
