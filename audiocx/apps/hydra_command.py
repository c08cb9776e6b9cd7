"""Runs a command whose words are Hydra's: composes the config, words its errors, keeps exit codes."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import audiocx
from audiocx.apps.settings import find_packages_here
from audiocx.apps.words import check_given, check_kinds, check_paths
from audiocx.errors import AudiocxError, ConfigError, OutputError, describe, nearest


def configuration_folder() -> Path:
    """Return where conf/ is: inside an installed package, beside it in a checkout."""
    package = Path(audiocx.__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def run(
    name: str, config_name: str, target: str, arguments: Sequence[str], *, one_of: Sequence[str] = ()
) -> int:
    """Run a Hydra command.

    Args:
        name: of the command.
        config_name: of its yaml in conf/.
        target: `module:function`, called with the composed config; returns an exit code.
        arguments: Hydra's words.
        one_of: settings of which exactly one must be given, each as `key=EXAMPLE`.

    Returns:
        The function's exit code. Of several jobs (`--multirun`) the largest; 1 when some failed, 2 when all did.

    Raises:
        AudiocxError: the words or the config do not fit, or the function raised it.
    """
    _check_flags(arguments)
    multirun = any(word in ("-m", "--multirun") for word in arguments)
    # Hydra wants its flags before the settings.
    arguments = sorted(arguments, key=lambda word: word not in ("-m", "--multirun"))
    find_packages_here()
    codes: list[int] = []
    failures: list[BaseException] = []

    def call(config: DictConfig) -> None:
        # The module is heavy; help and usage errors come before this.
        module, _, function = target.partition(":")
        try:
            hydra_config = HydraConfig.get()
            check_kinds(config_name, hydra_config.overrides.task, map(str, hydra_config.runtime.choices))
            check_given(config, one_of)
            check_paths(config)
            codes.append(getattr(importlib.import_module(module), function)(config))
        except Exception as error:
            # Kept from Hydra, which would print lines of its own.
            failures.append(error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                words = " ".join(HydraConfig.get().overrides.task)
                print(f"audiocx {name} {words}: {error}", file=sys.stderr)
        finally:
            _remove_if_empty(Path(HydraConfig.get().runtime.output_dir))

    folder = str(configuration_folder())
    try:
        with _as_if_called(name, arguments):
            hydra.main(version_base="1.3", config_path=folder, config_name=config_name)(call)()
        if failures and not multirun:
            raise failures[0]
    except AudiocxError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        cause = _cause(error)
        if cause is not None:
            raise cause from error
        raise ConfigError(_word(error, config_name, arguments)) from error
    except (TypeError, ValueError) as error:
        if failures:
            raise
        raise ConfigError(describe("the words do not compose", got=error, do="see --help")) from error
    except OSError as error:
        if failures:
            raise
        raise OutputError(
            describe(
                f"run folder {error.filename}: cannot be made", got=error.strerror, do="set hydra.run.dir=..."
            )
        ) from error
    if failures:  # of several jobs: each has had its line
        return 1 if codes else 2
    return max(codes, default=0)


@contextlib.contextmanager
def _as_if_called(name: str, arguments: Sequence[str]) -> Iterator[None]:
    """Put the words where Hydra reads them, and let errors reach us instead of ending the process."""
    previous_argv, previous_full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"audiocx {name}", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = previous_argv
        if previous_full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = previous_full_error


def _check_flags(arguments: Sequence[str]) -> None:
    known = [option for action in get_args_parser()._actions for option in action.option_strings]
    for argument in arguments:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            hint = f"settings are written {flag.lstrip('-')}=value"
            close = difflib.get_close_matches(flag, known, n=1)
            raise ConfigError(
                describe(f"no option `{flag}`", do=f"did you mean `{close[0]}`?" if close else hint)
            )


def _cause(error: BaseException) -> AudiocxError | None:
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, AudiocxError):
            return current
        current = current.__cause__ or current.__context__
    return None


def _word(error: Exception, config_name: str, arguments: Sequence[str]) -> str:
    """Word an error of Hydra's in one line, with the nearest name where one was mistyped."""
    text = str(error)
    option = re.search(r"Could not find '([^']*)'", text)
    listed = re.search(r"Available options in '[^']*':\n((?:[ \t]+\S+\n?)*)", text)
    if option and listed:
        group, _, word = option.group(1).rpartition("/")
        return describe(f"{group}={word}: no such option", do=nearest(word, listed.group(1).split()))
    key = re.search(r"Could not override '([^']*)'", text)
    if key:
        return describe(f"no setting `{key.group(1)}`", do=_nearest_key(key.group(1), config_name, arguments))
    unexpected = re.search(r"unexpected keyword argument '([^']*)'", text)
    where = re.search(r"full_key: (\S+)", text)
    if unexpected and where:
        return describe(f"{where.group(1)}: no setting `{unexpected.group(1)}`")
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return describe(f"`{missing.group(1)}` must be given", do=f"add {missing.group(1)}=...")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return describe("; ".join(lines[:3]) if lines else type(error).__name__)


def _nearest_key(wrong: str, config_name: str, arguments: Sequence[str]) -> str:
    """Return the nearest setting, looked up in the config that the other words compose."""
    others = [word for word in arguments if not word.startswith("-") and wrong not in word.partition("=")[0]]
    known: list[str] = []
    GlobalHydra.instance().clear()
    with contextlib.suppress(HydraException, OmegaConfBaseException):
        with initialize_config_dir(version_base="1.3", config_dir=str(configuration_folder())):
            config = compose(config_name, overrides=others)
        known = _keys(OmegaConf.to_container(config, resolve=False))
    groups = [entry.name for entry in configuration_folder().iterdir() if entry.is_dir()]
    candidates = [*groups, *known]
    last = wrong.rpartition(".")[2]
    same_name = [key for key in known if key.rpartition(".")[2] == last]
    close = difflib.get_close_matches(wrong, candidates, n=1, cutoff=0.6)
    if wrong in candidates:
        return "it takes one of the options that --help lists"
    if same_name:
        return f"did you mean `{same_name[0]}`?"
    return f"did you mean `{close[0]}`?" if close else "see --help, or --cfg job for all settings"


def _keys(container: Any, prefix: str = "") -> list[str]:
    if not isinstance(container, dict):
        return []
    found = []
    for key, value in container.items():
        path = f"{prefix}{key}"
        found.append(path)
        found.extend(_keys(value, f"{path}."))
    return found


def _remove_if_empty(folder: Path) -> None:
    """Leave no empty run folder, nor empty folders around it, behind a command that wrote nothing.

    Only below the working directory, and never that itself.
    """
    here = Path.cwd()
    for place in (folder.resolve(), *folder.resolve().parents):
        if here not in place.parents:
            return
        try:
            place.rmdir()
        except OSError:
            return
