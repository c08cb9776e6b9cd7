"""The command line: `audiocx COMMAND ...`. Names modules as strings, so that help and usage errors are quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import audiocx
from audiocx.errors import AudiocxError, nearest


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        summary: one line of help.
        target: `module:function`.
        config: name of the Hydra config that it takes; None for commands with flags.
        one_of: settings of that config of which exactly one must be given, each as `key=EXAMPLE`.
    """

    summary: str
    target: str
    config: str | None = None
    one_of: tuple[str, ...] = ()


COMMANDS = {
    "train": Command("train a model and test it", "audiocx.apps.train:train", "train"),
    "evaluate": Command(
        "score models, or files, on a test set",
        "audiocx.apps.evaluate:evaluate",
        "evaluate",
        one_of=("checkpoint=RUN", "estimates=FOLDER"),
    ),
    "enhance": Command("clean audio files with a trained model", "audiocx.apps.enhance:main"),
    "check-layers": Command(
        "prove what complex layers must hold, also your own", "audiocx.apps.check_layers:main"
    ),
    "benchmark": Command(
        "measure speed and memory beside other libraries", "audiocx.apps.benchmark:benchmark", "benchmark"
    ),
}


def usage() -> str:
    """Text of `audiocx --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: audiocx COMMAND [...]", "", "commands:"]
    lines += [f"  {name:<{width}}{command.summary}" for name, command in COMMANDS.items()]
    lines += ["", "audiocx COMMAND --help says more; audiocx --version prints the version."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 an input failed, 2 nothing was started, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"audiocx {audiocx.__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        print(f"audiocx: no command `{name}`; {nearest(name, COMMANDS)}", file=sys.stderr)
        return 2
    command = COMMANDS[name]
    try:
        if command.config is not None:
            run = importlib.import_module("audiocx.apps.hydra_command").run
            code: int = run(name, command.config, command.target, rest, one_of=command.one_of)
        else:
            module, _, function = command.target.partition(":")
            code = getattr(importlib.import_module(module), function)(rest)
    except SystemExit as end:  # Hydra after --help
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except AudiocxError as error:
        print(f"audiocx {name}: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print(f"audiocx {name}: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`| head`): nothing is left to be said, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    return code
