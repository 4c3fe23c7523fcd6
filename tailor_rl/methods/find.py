"""A method by its name in the recipe, or from a file outside the repository."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

from tailor_rl.errors import ConfigError
from tailor_rl.methods.hooks import RLMethod, SFTMethod
from tailor_rl.plugins import load_attribute

SFT_METHODS = {
    "pear": "tailor_rl.methods.pear:Pear",
    "uds": "tailor_rl.methods.uds:Uds",
}
RL_METHODS = {
    "sasr": "tailor_rl.methods.sasr:Sasr",
    "prefix_rft": "tailor_rl.methods.prefix_rft:PrefixRft",
}

Method = TypeVar("Method", SFTMethod, RLMethod)


def sft_method(name: str, options: Mapping[str, Any]) -> SFTMethod:
    """Raises ConfigError in one sentence for an unknown name or wrong options."""
    return _make(name, options, known=SFT_METHODS, kind=SFTMethod, key="sft.method")


def rl_method(name: str, options: Mapping[str, Any]) -> RLMethod:
    """Raises ConfigError in one sentence for an unknown name or wrong options."""
    return _make(name, options, known=RL_METHODS, kind=RLMethod, key="rl.method")


def _make(
    name: str, options: Mapping[str, Any], *, known: dict[str, str], kind: type[Method], key: str
) -> Method:
    if not name:
        if options:
            section = key.partition(".")[0]
            raise ConfigError(f"{section}.options are of {key}, which is not set: set it")
        return kind()
    if name in known:
        module, _, attribute = known[name].partition(":")
        cls = getattr(import_module(module), attribute)
    elif ":" in name:
        cls = load_attribute(name, key=key)
    else:
        raise ConfigError(
            f"{key} = {name!r} is none of {', '.join(known)}: choose one, or write"
            ' "path/to/file.py:Class"'
        )
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        raise ConfigError(f"{key} = {name!r} must name a class made from {kind.__name__}")
    try:
        return cls(**options)
    except TypeError as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise ConfigError(
            f"{key} = {name!r} does not take the options {given} ({error}): correct their names "
            "and types"
        ) from error
