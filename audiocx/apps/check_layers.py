"""`audiocx check-layers`: prove what complex layers must hold, of all of audiocx or of a user's own.

Parsing and printing only; the proofs are in `audiocx.checks`. What can be checked is checked before anything
heavy is imported.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NoReturn

from audiocx.apps.settings import find_packages_here
from audiocx.errors import ConfigError, describe, nearest

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from audiocx.checks.entry import Entry
    from audiocx.checks.proofs import Proof, Result

COMMAND = "audiocx check-layers"
FORMS = ("auto", "both", "native", "planar")
FILE_WIDTH = 100

PLAIN = str.maketrans({"✓": "+", "✗": "x", "–": "-", "λ": "lambda", "∂": "d", "ᴴ": "^H", "\u0304": "*"})
"""What is shown where these letters cannot be written."""

DESCRIPTION = """Prove what complex layers must hold, and print the table of layers and proofs.

Without a name: all layers of audiocx. With one: your own layer or model class, made with --arguments (what is
missing is guessed) and called with complex numbers of --shape, as planes too where it takes them. Exit code 1
where a proof fails."""

EXAMPLES = """examples:
  audiocx check-layers
  audiocx check-layers mypackage.layers:MyLayer --arguments '{"features": 4}' --shape 2,4,9,5
  audiocx check-layers mypackage:MyLayer --reference mypackage.tests:my_layer_in_numpy
"""


class _Parser(argparse.ArgumentParser):
    """argparse, but for its two-line errors: one line, with the nearest option."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(describe(f"{message}", do=f"see {self.prog} --help"))


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(word) for word in text.split(","))
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(text)
    return sizes


def _object(text: str) -> dict[str, object]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


# argparse says "invalid ... value: 'x'"
_sizes.__name__ = "list of sizes (as 2,4,9,5)"
_object.__name__ = 'JSON object (as {"features": 4})'


def make_parser() -> argparse.ArgumentParser:
    """Describe the command's options."""
    parser = _Parser(
        prog=COMMAND,
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("layer", nargs="?", metavar="MODULE:CLASS", help="your own layer or model class")
    parser.add_argument(
        "--arguments", type=_object, metavar="JSON", help="of your class, as '{\"features\": 4}'"
    )
    parser.add_argument(
        "--shape",
        type=_sizes,
        metavar="SIZES",
        help="of a complex input, batch first: 2,4,9,5 is (batch, feature, frequency, frame)",
    )
    parser.add_argument(
        "--form",
        choices=FORMS,
        help="what your layer takes: native complex tensors, planar ones, or both (default: auto tries)",
    )
    parser.add_argument(
        "--reference",
        metavar="MODULE:NAME",
        help="callable (layer in double precision, complex128 input) -> output that your layer must equal",
    )
    parser.add_argument("--training", action="store_true", help="prove your layer in training mode")
    parser.add_argument(
        "--only", metavar="TEXT", help="layers of audiocx whose name or family has this in it"
    )
    parser.add_argument(
        "--proofs", metavar="NAMES", help="these proofs only, by name with commas, as gradients,phase"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also what takes longest: onnxruntime, your layer in two processes",
    )
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        ConfigError: an option is not known, lacks its value, has a wrong one, or belongs to another use.
    """
    parser = make_parser()
    options, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        known = [word for action in parser._actions for word in action.option_strings]
        word = unknown[0].partition("=")[0]
        if not word.startswith("-"):
            raise ConfigError(describe(f"a second layer `{word}`", expected="one at a time"))
        raise ConfigError(describe(f"no option `{word}`", do=nearest(word, known)))
    own = ("arguments", "shape", "form", "reference", "training")
    if options.layer is None:
        for name in own:
            if getattr(options, name):
                raise ConfigError(describe(f"--{name} is of a layer of your own", do="give MODULE:CLASS"))
    elif options.only is not None:
        raise ConfigError(
            describe("--only chooses among the layers of audiocx", do="leave MODULE:CLASS away")
        )
    elif options.layer.count(":") != 1:
        raise ConfigError(describe(f"layer: `{options.layer}`", expected="mypackage:MyLayer"))
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: words of the command line.

    Returns:
        0 where all proofs hold, 1 where one fails.

    Raises:
        ConfigError: nothing was started; the command line prints it and ends with 2.
    """
    options = parse(arguments)

    from audiocx.checks.table import failures, legend, remarks, summary, table_of

    entries, line = _entries(options)
    proofs = _proofs(options)
    start = time.monotonic()
    results = _run(entries, proofs)
    wrong = failures(results)
    told = [
        *legend(proofs),
        "",
        *remarks(results, proofs),
        *wrong,
        summary(results, time.monotonic() - start),
    ]
    _show([line] if line else [], table_of(results, proofs), ["", *told])
    return 1 if wrong else 0


def _show(above: list[str], table: Table, below: list[str]) -> None:
    """Print a table between lines, with other letters where standard output lacks some."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    rendered = io.StringIO()
    # A file takes lines of any length, a terminal those of its width.
    console = Console(
        file=rendered, force_terminal=is_terminal, width=None if is_terminal else FILE_WIDTH, soft_wrap=True
    )
    for line in above:
        console.print(line, markup=False, highlight=False)
    console.print(table)
    for line in below:
        console.print(line, markup=False, highlight=False)
    text, encoding = rendered.getvalue(), sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)


def _entries(options: argparse.Namespace) -> tuple[list[Entry], str]:
    """Layers to prove, and a line about a user's own."""
    from audiocx.checks.catalogue import ENTRIES
    from audiocx.checks.own import Own, own_entry

    if options.layer is not None:
        find_packages_here()
        own = Own(
            options.layer,
            options.arguments or {},
            options.shape,
            options.form or "auto",
            options.reference,
            options.training,
        )
        entry, line = own_entry(own)
        return [entry], line
    text = (options.only or "").lower()
    chosen = [entry for entry in ENTRIES if text in entry.name.lower() or text in entry.family]
    if not chosen:
        families = dict.fromkeys(entry.family for entry in ENTRIES)
        raise ConfigError(
            describe(f"--only: no layer has `{options.only}` in it", do=nearest(text, families))
        )
    return chosen, ""


def _proofs(options: argparse.Namespace) -> list[Proof]:
    from audiocx.checks.proofs import PROOFS

    if options.proofs is not None:
        keys = options.proofs.split(",")
        known = [proof.key for proof in PROOFS]
        for key in keys:
            if key not in known:
                raise ConfigError(describe(f"--proofs: no proof `{key}`", do=nearest(key, known)))
        return [proof for proof in PROOFS if proof.key in keys]
    own = options.layer is not None
    return [proof for proof in PROOFS if options.full or (proof.quick and not (own and proof.check_all))]


def _run(entries: Sequence[Entry], proofs: Sequence[Proof]) -> list[Result]:
    """Run all, with progress where standard error is a terminal."""
    from audiocx.checks.proofs import run_proofs

    results = []
    progress = _progress()
    shown: AbstractContextManager[object] = nullcontext() if progress.disable else progress
    with shown, warnings.catch_warnings():
        # Of torch about its own insides, when it compiles and exports.
        warnings.simplefilter("ignore")
        task = progress.add_task("", total=len(entries) * len(proofs))
        for result in run_proofs(entries, proofs, lambda words: progress.update(task, description=words)):
            results.append(result)
            progress.advance(task)
    return results


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
