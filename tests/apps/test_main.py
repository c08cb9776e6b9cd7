from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import audiocx
from audiocx.apps.main import COMMANDS, main
from audiocx.errors import AudioFileError, ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"audiocx {audiocx.__version__}"


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)
    assert main([]) == 2


def test_mistyped_command(capsys):
    assert main(["enhnace"]) == 2
    assert "did you mean `enhance`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(ConfigError("c"), 2), (AudioFileError("a"), 1), (KeyboardInterrupt(), 130)]
)
def test_errors_become_exit_codes(error, code, monkeypatch, capsys):
    import audiocx.apps.enhance

    def fail(arguments):
        raise error

    monkeypatch.setattr(audiocx.apps.enhance, "main", fail)
    assert main(["enhance"]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_hydra_help_lists_groups_and_examples(command):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{command}.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "data: " in done.stdout
    assert done.stdout.count(f"audiocx {command} ") >= 3
