"""What can be said of Hydra's words before anything heavy is imported: a missing path, a word for a number."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from audiocx.errors import CheckpointError, ConfigError, DataError, describe

CHECKPOINT_KEYS = ("checkpoint", "init")
PATH_KEYS = ("estimates", "data.root", "data.test", "data.speech", "data.noise", "data.rir", "data.splits")

AUTOMATIC = "auto"
"""A word that many settings take in place of a number."""


def check_given(config: DictConfig, one_of: Sequence[str]) -> None:
    """See that nothing that must be given is missing.

    Args:
        config: of the command.
        one_of: settings of which exactly one is wanted, each as `key=EXAMPLE`.

    Raises:
        ConfigError: naming what is missing.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ConfigError(describe(f"`{missing[0]}` must be given", do=f"add {missing[0]}=..."))
    given = [word for word in one_of if _listed(OmegaConf.select(config, word.partition("=")[0]))]
    if one_of and len(given) != 1:
        raise ConfigError(
            describe(
                "what to work on is not clear",
                expected=f"either {' or '.join(one_of)}",
                got="both" if given else "neither",
                do="see --help",
            )
        )


def check_paths(config: DictConfig) -> None:
    """See that what the config is to read is there.

    Raises:
        CheckpointError: a checkpoint is not there.
        DataError: another file or folder is not.
    """
    for keys, kind in ((CHECKPOINT_KEYS, CheckpointError), (PATH_KEYS, DataError)):
        for key in keys:
            for path in _listed(OmegaConf.select(config, key)):
                if not os.path.lexists(os.path.expanduser(path)) and not glob.has_magic(path):
                    raise kind(describe(f"{key}={path}: no such file or folder"))


def check_kinds(config_name: str, words: Sequence[str], groups: Iterable[str]) -> None:
    """See that settings whose default is a number, or true or false, were given one.

    `++key=value` goes unchecked: it says that the caller knows better.

    Args:
        config_name: of the command's yaml.
        words: Hydra's words, flags left out; called while Hydra runs.
        groups: names of the config groups, which take options and no values.

    Raises:
        ConfigError: a word stands where a number should.
    """
    groups = set(groups)
    overrides = OverridesParser.create().parse_overrides(list(words))
    suspicious = [item for item in overrides if _is_word(item) and item.key_or_group not in groups]
    if not suspicious:
        return
    chosen = [item.input_line for item in overrides if item.key_or_group in groups]
    plain = compose(config_name, overrides=[line for line in chosen if line is not None])
    for item in suspicious:
        default = OmegaConf.select(plain, item.key_or_group)
        if isinstance(default, bool):
            expected = "true or false"
        elif isinstance(default, int | float):
            expected = "a number"
        else:
            continue
        raise ConfigError(describe(item.key_or_group, expected=f"{expected}, as {default}", got=item.value()))


def _is_word(override: Override) -> bool:
    """A plain change of a value to a string."""
    if override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override():
        return False
    value = override.value()
    return isinstance(value, str) and value != AUTOMATIC and "${" not in value


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    plain = OmegaConf.to_container(value) if OmegaConf.is_list(value) else []
    return [item for item in plain if isinstance(item, str)] if isinstance(plain, list) else []
