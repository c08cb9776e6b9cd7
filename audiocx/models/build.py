"""From a plain config to a model: the same few lines for training and for loading.

`_target_` is an import path and the other keys are arguments, as Hydra has it; `_partial_: true` leaves the call
to the receiver. A loaded config is data from elsewhere, so it may name only trusted packages.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audiocx.errors import AudiocxError, ConfigError, describe, nearest
from audiocx.models.words import import_module_class

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def build(config: Any, **arguments: Any) -> Any:
    """Build what a config describes: modules of torch and nothing else, for a config may come from anywhere.

    Args:
        config: a mapping with `_target_`, or a value, taken as it is.
        arguments: more arguments of the outermost target.

    Raises:
        ConfigError: a target cannot be imported or is no module, a key is not one of its parameters, or a value
            does not fit.
    """
    if isinstance(config, Mapping) and "_target_" in config:
        path = str(config["_target_"])
        target = import_module_class(path, where="model: _target_")
        keys = {
            str(key): build(value) for key, value in config.items() if key not in ("_target_", "_partial_")
        }
        keys.update(arguments)
        _check_keys(target, path, keys)
        if config.get("_partial_", False):
            return functools.partial(target, **keys)
        try:
            return target(**keys)
        except (TypeError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
            if isinstance(error, AudiocxError):
                raise
            raise ConfigError(describe(f"model: a value of {path} does not fit", got=error)) from error
    if isinstance(config, Mapping):
        return {key: build(value) for key, value in config.items()}
    if isinstance(config, Sequence) and not isinstance(config, str):
        return [build(value) for value in config]
    return config


def with_defaults(config: Any) -> Any:
    """Return a plain config in which each target's parameters that it leaves out have their defaults.

    Two configs of one model are then equal, though one was written before a parameter was there.

    Raises:
        ConfigError: a target cannot be imported or is no module.
    """
    if isinstance(config, Mapping):
        found = {key: with_defaults(value) for key, value in config.items()}
        if "_target_" in config:
            target = import_module_class(str(config["_target_"]), where="model: _target_")
            for name, parameter in inspect.signature(target).parameters.items():
                if parameter.default is not inspect.Parameter.empty:
                    found.setdefault(name, parameter.default)
        return found
    if isinstance(config, Sequence) and not isinstance(config, str):
        return [with_defaults(value) for value in config]
    return config


def import_paths(config: Any) -> Iterator[str]:
    """Find everything in a plain config that could be imported, at any depth."""
    if isinstance(config, str):
        if _IMPORT_PATH.fullmatch(config):
            yield config
    elif isinstance(config, Mapping):
        for value in config.values():
            yield from import_paths(value)
    elif isinstance(config, Sequence):
        for value in config:
            yield from import_paths(value)


def packages(config: Any) -> list[str]:
    """Names of the packages whose classes a config uses: what `trust` must list to load it again."""
    return sorted({path.partition(".")[0] for path in import_paths(config)})


def check_trusted(config: Any, trust: Sequence[str]) -> None:
    """Refuse a config that names anything outside the trusted packages; of audiocx, only models and layers.

    Args:
        config: plain config of a model folder.
        trust: names of packages whose classes it may use.

    Raises:
        ConfigError: an import path leads elsewhere.
    """
    for path in import_paths(config):
        package, _, rest = path.partition(".")
        inside = package != "audiocx" or rest.partition(".")[0] in ("models", "layers")
        if package not in trust or not inside:
            raise ConfigError(
                describe(
                    f"the model's config names `{path}`",
                    expected=f"classes of {', '.join(trust)} only",
                    do=f"if you trust the package `{package}`, say so: trust=[{package}], or --trust {package}",
                )
            )


def _check_keys(target: Any, path: str, keys: Mapping[str, Any]) -> None:
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in keys:
        if key not in parameters:
            raise ConfigError(describe(f"{path}: no parameter `{key}`", do=nearest(key, parameters)))
