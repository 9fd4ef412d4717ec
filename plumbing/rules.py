"""Flags that have no effect beside the others given: refused, never passed over in silence.

A config lists its rules in the class variable RULES and calls `check_rules` from `__post_init__`. A flag counts as given
where its value is not its default, and where it was typed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from plumbing.flags import Flag, flags_of, written_with_value


@dataclass(frozen=True)
class Rule:
    """Some flags and others on which their effect depends.

    Attributes:
        fields: the flags, by their names in the config.
        others: the flags on which it depends; one of them will do.
        values: values of the others with which this applies; any but False, None and nothing, where empty.
        wanted: whether the flags have an effect only with the other, or only without it.
        why: what the other does instead.
    """

    fields: tuple[str, ...]
    others: tuple[str, ...]
    values: tuple[Any, ...]
    wanted: bool
    why: str = ""


def needs(fields: str, others: str, *values: Any) -> Rule:
    """Say that flags have an effect only beside one of some others.

    Args:
        fields: their names in the config, separated by spaces.
        others: names of the others, separated by spaces; those that this config does not have are passed over.
        values: those of their values that will do; any but False, None and nothing, when left out.

    Example:
        >>> needs("tau_km tau_end", "loss", "haversine").others
        ('loss',)
    """
    return Rule(tuple(fields.split()), tuple(others.split()), values, wanted=True)


def excludes(other: str, fields: str, *values: Any, why: str = "") -> Rule:
    """Say that flags have no effect beside another.

    Args:
        other: name of the other flag in the config.
        fields: names of those that have no effect with it, separated by spaces.
        values: those of its values for which this holds; any but False, None and nothing, when left out.
        why: what the other does instead, as in `answers with points alone`.
    """
    return Rule(tuple(fields.split()), (other,), values, wanted=False, why=why)


def check_rules(config: Any, typed: Collection[str] = ()) -> None:
    """Refuse flags that have no effect.

    Args:
        config: a config with RULES.
        typed: names of flags that were typed, whatever their value.

    Raises:
        ValueError: a flag has no effect beside the others.
    """
    flags = {flag.field: flag for flag in flags_of(type(config))}
    for rule in getattr(config, "RULES", ()):
        others = [flags[name] for name in rule.others if name in flags]
        met = any(_met(_value(config, other.field), rule.values) for other in others)
        idle = [flags[name] for name in rule.fields if name in flags and _is_given(config, flags[name], typed)]
        if idle and met != rule.wanted:
            raise ValueError(_refusal(config, rule, others, idle))


def _met(value: Any, values: tuple[Any, ...]) -> bool:
    return value in values if values else bool(value)


def _is_given(config: Any, flag: Flag, typed: Collection[str]) -> bool:
    return flag.field in typed or _value(config, flag.field) != flag.default


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def _refusal(config: Any, rule: Rule, others: Sequence[Flag], idle: Sequence[Flag]) -> str:
    given = [written_with_value(flag, _value(config, flag.field)) for flag in idle]
    names = _listed([words.split(" ")[0] for words in given])
    have = "has" if len(idle) == 1 else "have"
    if rule.wanted:
        ways = [_with(other, value) for other in others for value in rule.values or (True,)]
        return f"{_listed(given)} {have} no effect without {' or '.join(ways)}: add it, or leave out {names}"
    here = written_with_value(others[0], _value(config, others[0].field))
    why = f", which {rule.why}" if rule.why else ""
    return f"{_listed(given)} {have} no effect with {here}{why}: leave out {names}, or {here}"


def _with(flag: Flag, value: Any) -> str:
    if value is not True:
        return written_with_value(flag, value)
    return flag.written if flag.kind is bool else f"{flag.written} {flag.metavar}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
