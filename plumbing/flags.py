"""What a config says of its flags: names, kinds of values, defaults, groups, and which have an effect beside which."""

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

Groups = Mapping[str, str]
"""Titles of a config's flags in --help, each with its fields, separated by spaces: the class variable GROUPS. Those of base
classes follow; a title without fields keeps its place for theirs."""
Renamed = Mapping[str, Mapping[str, str]]
"""Values that have another name now, by field: a config's class variable RENAMED. The old name is refused with the new one."""

Share = Annotated[float, arg(metavar="0..1")]
"""A share, a probability or a chance."""
Folder = Annotated[Path, arg(metavar="FOLDER")]
"""A folder."""
LevelName = Annotated[str, arg(metavar="L")]
"""The name of a level, such as L3."""

OPTIONS = "options"
"""Title of flags that no group names."""
UNITS = {"share": "0..1", "km": "KM", "m": "METRES", "s": "SECONDS", "deg": "DEGREES", "minutes": "MINUTES"}
"""Metavars by the last word of a name."""
KINDS = {int: "N", float: "NUMBER", Path: "PATH", str: "TEXT", date: "YYYY-MM-DD"}
"""Metavars by type, where neither the annotation nor the name says more."""
NAMES = {"data": "FOLDER", "run": "FOLDER", "level": "L", "device": "DEVICE"}
"""Metavars by name: flags that mean the same everywhere."""


@dataclass(frozen=True)
class Flag:
    """One flag of a command.

    Attributes:
        field: name in the config, dotted below a nested one: `optim.lr`.
        written: as a user types it: `--optim.lr`; for a positional argument, its metavar.
        kind: type of one value.
        many: whether any number of values may follow.
        optional: whether None is a value.
        default: the value when left out; `dataclasses.MISSING` of a required flag.
        metavar: what stands for the value.
        about: its help, one paragraph.
        group: title above it in --help.
        positional: whether it is given without a name.
    """

    field: str
    written: str
    kind: Any
    many: bool
    optional: bool
    default: Any
    metavar: str
    about: str
    group: str
    positional: bool

    @property
    def required(self) -> bool:
        """Say whether the command needs it."""
        return self.default is dataclasses.MISSING

    @property
    def negated(self) -> str:
        """Return how a switch is turned off."""
        before, _, last = self.written[2:].rpartition(".")
        return f"--{before}{'.' if before else ''}no-{last}"

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the only values there are, if few."""
        return typing.get_args(self.kind) if typing.get_origin(self.kind) is Literal else ()


def flags_of(config: Any, prefix: str = "", group: str = "") -> list[Flag]:
    """Return the flags of a config class, or of the values of a config that stand for defaults, in their order.

    Fields in the class variable FIXED are inherited by a command that decides them itself; they are no flags of it.
    """
    cls = config if isinstance(config, type) else type(config)
    hints, about, groups = typing.get_type_hints(cls, include_extras=True), _texts(cls), _groups(cls)
    flags = []
    for field in dataclasses.fields(cls):
        if field.name in getattr(cls, "FIXED", ()):
            continue
        hint = _Hint.of(hints[field.name])
        default = _default(field) if isinstance(config, type) else getattr(config, field.name)
        if dataclasses.is_dataclass(hint.kind):
            below = hint.kind if default is dataclasses.MISSING else default
            title = about[field.name].rstrip(".").lower()
            flags += flags_of(below, f"{prefix}{_dashed(field.name)}.", title)
            continue
        metavar = hint.metavar or _metavar(field.name, hint)
        written = f"--{prefix}{_dashed(hint.name or field.name)}"
        flags.append(
            Flag(
                field=f"{prefix}{field.name}".replace("-", "_"),
                written=metavar if hint.positional else written,
                kind=hint.kind,
                many=hint.many,
                optional=hint.optional,
                default=default,
                metavar=metavar,
                about=hint.about or about[field.name],
                group=group or groups.get(field.name, OPTIONS),
                positional=hint.positional,
            )
        )
    return flags


def group_titles(config: type) -> list[str]:
    """Return the titles of a config's groups in the order in which --help shows them."""
    declared = [title for cls in config.__mro__ for title in vars(cls).get("GROUPS", {})]
    flags = [flag.group for flag in flags_of(config)]
    return [title for title in dict.fromkeys([*declared, *flags]) if title in flags]


def own_first(config: type, flags: Sequence[Flag]) -> list[Flag]:
    """Return the flags that a class declares itself before those of its base classes."""
    declared = [set(inspect.get_annotations(cls)) for cls in config.__mro__]
    return sorted(flags, key=lambda flag: next(i for i, names in enumerate(declared) if flag.field in names))


def written_with_value(flag: Flag, value: Any) -> str:
    """Return a flag as a user would have typed it."""
    if isinstance(value, bool):
        return flag.written if value else flag.negated
    return f"{flag.written} {shown(value)}".rstrip()


def shown(value: Any) -> str:
    """Return a value as a user would type it."""
    if isinstance(value, list | tuple):
        return " ".join(shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def first_sentence(config: type) -> str:
    """Return the first sentence of a config's docstring."""
    paragraph = " ".join((inspect.getdoc(config) or "").split("\n\n")[0].split())
    head, dot, _ = paragraph.partition(". ")
    return head + "." if dot else paragraph


@dataclass(frozen=True)
class _Hint:
    """What an annotation says."""

    kind: Any
    many: bool = False
    optional: bool = False
    positional: bool = False
    metavar: str | None = None
    name: str | None = None
    about: str | None = None

    @classmethod
    def of(cls, hint: Any) -> "_Hint":
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            inner, said = cls.of(parts[0]), parts[1:]
            metavar = next((text for text in (getattr(mark, "metavar", None) for mark in said) if text), inner.metavar)
            name = next((text for text in (getattr(mark, "name", None) for mark in said) if text), inner.name)
            about = next(
                (f"{text.rstrip('.')}." for text in (getattr(mark, "help", None) for mark in said) if text), inner.about
            )
            placed = inner.positional or any(mark is _POSITIONAL for mark in said)
            return dataclasses.replace(inner, positional=placed, metavar=metavar, name=name, about=about)
        if origin in (typing.Union, types.UnionType):
            others = [part for part in parts if part is not type(None)]
            if len(others) == 1:
                return dataclasses.replace(cls.of(others[0]), optional=len(others) < len(parts))
            return cls(str, optional=len(others) < len(parts))
        if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
            return dataclasses.replace(cls.of(parts[0]), many=True)
        if origin is tuple:
            inner = cls.of(parts[0])
            return dataclasses.replace(
                inner, many=True, metavar=inner.metavar or " ".join(KINDS.get(part, "VALUE") for part in parts)
            )
        return cls(hint)


_POSITIONAL = typing.get_args(Positional[int])[1]


def _metavar(name: str, hint: _Hint) -> str:
    if typing.get_origin(hint.kind) is Literal:
        return "{" + ",".join(str(choice) for choice in typing.get_args(hint.kind)) + "}"
    if hint.positional:
        return (name[:-1] if hint.many and name.endswith("s") else name).upper()
    return NAMES.get(name) or UNITS.get(name.rsplit("_", 1)[-1]) or KINDS.get(hint.kind, "VALUE")


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _groups(config: type) -> dict[str, str]:
    """Return the title of the group of each field that has one; a subclass may move a field."""
    by_field: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        groups: Groups = vars(cls).get("GROUPS", {})
        by_field |= {name: title for title, names in groups.items() for name in names.split()}
    return by_field


def _texts(config: type) -> dict[str, str]:
    """Return the string under each field as one paragraph; a field declared again without one keeps that of the base."""
    texts = {field.name: "" for field in dataclasses.fields(config)}
    for cls in reversed(config.__mro__):
        if dataclasses.is_dataclass(cls):
            texts |= dict(_texts_in(cls))
    return texts


def _texts_in(cls: type) -> Iterator[tuple[str, str]]:
    body = _classes(inspect.getsourcefile(cls) or "").get(cls.__name__)
    for field, text in zip(body.body, body.body[1:], strict=False) if body else ():
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            yield field.target.id, " ".join(ast.literal_eval(text.value).split())


@cache
def _classes(path: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
