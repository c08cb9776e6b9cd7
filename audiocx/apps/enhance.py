"""`audiocx enhance`: clean recordings with a trained model.

Everything that can be checked is checked before anything heavy is imported, so that a mistyped option costs
no wait. Parsing and printing only; the work is done by `audiocx.inference`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from audiocx.apps.file_progress import Display, Tally, ending_as_ctrl_c
from audiocx.apps.settings import find_packages_here
from audiocx.audio.find import AUDIO_SUFFIXES, find_audio, pair_with_outputs
from audiocx.errors import AudiocxError, CheckpointError, ConfigError, OutputError, describe, nearest

if TYPE_CHECKING:
    from audiocx.inference.enhancer import Enhancer
    from audiocx.inference.file_batch import Job

COMMAND = "audiocx enhance"
SUFFIX = "_enhanced.wav"

DESCRIPTION = """Enhance recordings: files, folders (to any depth) or quoted globs.

Writes <stem>_enhanced.wav with the input's rate, length, channels and sample form; the folder tree is kept,
and what is there already is skipped, so an interrupted call goes on where it stood."""

EXAMPLES = """examples:
  audiocx enhance talk.wav --checkpoint outputs/train/complex_unet/RUN
  audiocx enhance recordings/ "more/*.flac" -o clean --checkpoint RUN --device cuda
"""


class _Parser(argparse.ArgumentParser):
    """argparse, but for its two-line errors: one line, with the nearest option."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(describe(f"{message}", do=f"see {self.prog} --help"))


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(text)
    return value


_seconds.__name__ = "number of seconds"  # argparse says "invalid number of seconds value: 'x'"


def make_parser() -> argparse.ArgumentParser:
    """Describe the command's options."""
    parser = _Parser(
        prog=COMMAND,
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="audio file, folder, or glob in quotes")
    parser.add_argument(
        "-o", "--output", default="enhanced", metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="run folder, model folder or .ckpt of a trained model (required)"
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package besides audiocx whose classes the model may use; may be given again",
    )
    parser.add_argument("--overwrite", action="store_true", help="do again what is there already")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto takes a GPU where there is one",
    )
    parser.add_argument(
        "--block-seconds",
        type=_seconds,
        default=20.0,
        metavar="SECONDS",
        help="length of the blocks that long files are cut into; shorter ones take less memory (default: 20)",
    )
    parser.add_argument("--quiet", action="store_true", help="print failures only")
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        ConfigError: an option is not known, lacks its value, or has a wrong one; or something needed is
            missing.
    """
    parser = make_parser()
    options, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        known = [word for action in parser._actions for word in action.option_strings]
        word = unknown[0].partition("=")[0]
        raise ConfigError(describe(f"no option `{word}`", do=nearest(word, known)))
    if not options.inputs:
        raise ConfigError(
            describe("no input", expected="files, folders or globs", do=f"see {COMMAND} --help")
        )
    if not options.checkpoint:
        raise ConfigError(
            describe(
                "no model",
                expected="--checkpoint with a run folder, a model folder or a .ckpt",
                do="train one: audiocx train model=complex_unet",
            )
        )
    return options


def check_output_folder(output: Path) -> None:
    """See that results can go there, as far as that shows without making anything.

    Raises:
        OutputError: it cannot be a folder, or nothing may be written in it.
    """
    if output.suffix.lower() in AUDIO_SUFFIXES and not output.is_dir():
        raise OutputError(describe(f"--output {output}", expected="a folder", got="the name of a file"))
    existing = output
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(
            describe(f"output folder {output} cannot be made", got=f"{existing} is not a folder", do="use -o")
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(describe(f"output folder {output}", got=f"no permission to write in {existing}"))


def enhance(options: argparse.Namespace) -> int:
    """Do what the options say; return the exit code."""
    output = Path(options.output)
    found = find_audio(options.inputs, exclude=output)
    pairs = pair_with_outputs(found, output, SUFFIX)
    if not os.path.lexists(options.checkpoint):
        raise CheckpointError(
            describe(f"checkpoint {options.checkpoint}: no such file or folder", do="give a run folder")
        )
    check_output_folder(output)

    from audiocx.audio.writing import make_folders, remove_empty
    from audiocx.inference.device import choose_device
    from audiocx.inference.enhancer import Enhancer
    from audiocx.inference.file_batch import Job
    from audiocx.models.checkpoint import load

    choose_device(options.device)
    if options.trust:
        find_packages_here()
    separator = load(options.checkpoint, trust=options.trust)
    enhancer = Enhancer(separator, device=options.device, block_seconds=options.block_seconds)
    try:
        made = make_folders(output)
    except OSError as error:
        raise OutputError(describe(f"output folder {output} cannot be made", got=error.strerror)) from None
    display = Display(len(pairs), quiet=options.quiet)
    n_files = f"{len(pairs)} file{'s' if len(pairs) != 1 else ''}"
    display.say(f"{n_files} -> {output}{os.sep} on {enhancer.device}")
    try:
        return run([Job(*pair) for pair in pairs], enhancer, display, overwrite=options.overwrite)
    finally:
        remove_empty(made)


def run(jobs: Sequence[Job], enhancer: Enhancer, display: Display, *, overwrite: bool) -> int:
    """Do the jobs and tell of them; return the exit code, 130 after Ctrl-C."""
    from audiocx.inference.file_batch import enhance_file

    tally = Tally()
    interrupted = False
    try:
        with ending_as_ctrl_c(), display.shown:
            for job in jobs:
                with display.file(job.input.name) as advance:
                    outcome = enhance_file(enhancer, job, overwrite=overwrite, progress=advance)
                tally.add(outcome)
                if outcome.report is not None:
                    for path, gain_db in zip(outcome.report.outputs, outcome.report.gains_db, strict=True):
                        if gain_db:
                            display.say(f"{path}: would clip as {outcome.report.subtype}, {gain_db:+.2f} dB")
    except KeyboardInterrupt:
        interrupted = True
    display.say(("interrupted; finished files are kept: " if interrupted else "") + tally.summary())
    for failure in tally.failures:
        print(f"failed: {failure}", file=sys.stderr)
    if interrupted:
        return 130
    return 1 if tally.failures else 0


def main(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: the words after the command's name.

    Returns:
        Exit code: 0 done, 1 some file failed, 2 nothing was started, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # a terminal may lack the letters of a file's name
    try:
        return enhance(parse(arguments))
    except SystemExit as end:  # argparse after --help
        return int(end.code or 0)
    except KeyboardInterrupt:
        print(f"{COMMAND}: interrupted", file=sys.stderr)
        return 130
    except AudiocxError as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return error.exit_code
