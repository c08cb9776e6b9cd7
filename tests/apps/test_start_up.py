"""Help and usage errors are quick: they import next to nothing. Modules are counted, not seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiocx.apps.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]

# Calls that end before any work: words, exit code, and what the line says.
CALLS: dict[str, list[tuple[list[str], int, str]]] = {
    "train": [
        (["model=comlpex_unet"], 2, "did you mean `complex_unet`"),
        (["trainer.max_stps=3"], 2, "did you mean `trainer.max_steps`"),
        (["trainer.max_steps=abc"], 2, "trainer.max_steps; expected a number"),
        (["test=perhaps"], 2, "test; expected true or false"),
        (["optimizer=adamw", "optimizer.lr=abc"], 2, "expected a number, as 0.005, got abc"),
        (["checkpoint=gone"], 2, "checkpoint=gone: no such file or folder"),
        (["data=folder"], 2, "`data.root` must be given"),
        (["data=folder", "data.root=gone"], 2, "data.root=gone: no such file or folder"),
        (["data=mix", "data.speech=.", "data.noise=gone"], 2, "data.noise=gone: no such file or folder"),
        (["--config-dir", "gone"], 2, "gone"),
        (["hydra.run.dir=file/run", "init=gone"], 2, "cannot be made"),
    ],
    "evaluate": [
        ([], 2, "expected either checkpoint=RUN or estimates=FOLDER, got neither"),
        (["checkpoint=.", "estimates=."], 2, "got both"),
        (["checkpoint=[.,gone]"], 2, "checkpoint=gone: no such file or folder"),
        (["chekpoint=."], 2, "did you mean `checkpoint`"),
        (["checkpoint=.", "n_examples=many"], 2, "n_examples; expected a number"),
        (["estimates=.", "data.test=gone"], 2, "data.test=gone: no such file or folder"),
    ],
    "enhance": [
        ([], 2, "no input"),
        (["file"], 2, "no model"),
        (["file", "--overwite"], 2, "did you mean `--overwrite`"),
        (["file", "--block-seconds", "nan", "--checkpoint", "."], 2, "--block-seconds: invalid number"),
        (["file", "--device", "gpu", "--checkpoint", "."], 2, "--device: invalid choice"),
        (["gone.wav", "--checkpoint", "."], 2, "gone.wav: no such file"),
        (["file", "--checkpoint", "gone"], 2, "checkpoint gone: no such file"),
        (["file", "--checkpoint", ".", "-o", "file"], 2, "output folder file cannot be made"),
    ],
}
HYDRA_NEEDS = {"hydra", "omegaconf", "antlr4", "yaml", "_yaml", "packaging", "attr", "attrs"}
MOST_MODULES = {"flags": 150, "hydra": 450}
"""Modules in all, the standard library's included; 115 and 336 when this was written."""

# Runs calls one after the other in one process; after each says what it brought in.
PROGRAM = """
import contextlib, io, json, sys
before = set(sys.modules)
from audiocx.apps.main import main
for words in json.loads(sys.argv[1]):
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = main(words)
    roots = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
    roots = {name for name in roots if "cython" not in name} - {"audiocx"}
    print(json.dumps([code, out.getvalue(), error.getvalue(), sorted(roots), len(sys.modules)]))
"""


def ends_of(calls: list[list[str]], folder: Path) -> list[tuple[int, str, str, list[str], int]]:
    """(exit code, output, errors, third-party modules imported so far, number of modules) of each call."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(calls)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_the_command_itself_imports_nothing(tmp_path):
    ends = ends_of([["--help"], ["--version"], ["enhnace"], []], tmp_path)
    assert [(code, modules) for code, _, _, modules, _ in ends] == [(0, []), (0, []), (2, []), (2, [])]
    assert ends[-1][-1] <= MOST_MODULES["flags"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_usage_errors_import_next_to_nothing(tmp_path, name):
    is_hydra = COMMANDS[name].config is not None
    (tmp_path / "file").touch()
    calls = [
        (["--help"], 0, ""),
        (["--no-such-option"], 2, "no option `--no-such-option`"),
        *CALLS.get(name, []),
    ]

    ends = ends_of([[name, *words] for words, _, _ in calls], tmp_path)

    for (words, expected_code, expected), (code, out, error, modules, _) in zip(calls, ends, strict=True):
        assert code == expected_code, (words, error)
        assert error.count("\n") == (code != 0), (words, error)
        assert expected in error
        assert bool(out) == (code == 0)
        assert set(modules) <= (HYDRA_NEEDS if is_hydra else set()), words
    assert ends[-1][-1] <= MOST_MODULES["hydra" if is_hydra else "flags"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
