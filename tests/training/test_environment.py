from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import audiocx
from audiocx.training.environment import environment, former_legs, git_revision, with_legs


def run_with(folder: Path, text: str | None) -> Path:
    """A run folder with that environment.json; gives its last checkpoint."""
    (folder / "checkpoints").mkdir(parents=True)
    if text is not None:
        (folder / "environment.json").write_text(text, encoding="utf-8")
    return folder / "checkpoints" / "last.ckpt"


def test_legs_are_kept_in_their_order(tmp_path):
    first = with_legs({"git_revision": "a", "data": {"files": 3}, "seed": 0}, first_step=0, going_on=None)
    assert first == {
        "git_revision": "a",
        "data": {"files": 3},
        "seed": 0,
        "legs": [{"first_step": 0, "git_revision": "a", "seed": 0}],
    }
    checkpoint = run_with(tmp_path / "run", json.dumps(first))
    second = with_legs({"git_revision": "b"}, first_step=50, going_on=checkpoint)
    assert second["git_revision"] == "b"
    assert second["legs"] == [*first["legs"], {"first_step": 50, "git_revision": "b"}]


def test_what_was_written_before_there_were_legs_is_one(tmp_path):
    anew = run_with(tmp_path / "anew", json.dumps({"git_revision": "a", "data": {"files": 3}}))
    assert former_legs(anew) == [{"first_step": 0, "git_revision": "a"}]
    went_on = {"git_revision": "b", "checkpoint": {"path": "x", "step": 40}}
    assert former_legs(run_with(tmp_path / "on", json.dumps(went_on))) == [{"first_step": 40} | went_on]
    # A checkpoint that was taken out of its folder of checkpoints.
    assert former_legs(tmp_path / "anew" / "best.ckpt") == former_legs(anew)


@pytest.mark.parametrize("text", ["", "[1]", '{"legs": 3}', "{"])
def test_what_cannot_be_read_is_no_leg_and_a_warning(text, tmp_path, caplog):
    assert former_legs(run_with(tmp_path / "run", text)) == []
    assert "environment.json cannot be read" in caplog.text
    assert former_legs(run_with(tmp_path / "none", None)) == []


def test_the_revision_is_that_of_the_checkout_and_read_once(monkeypatch, tmp_path):
    """Of a checkout that does not hold audiocx, in which it is installed only, nothing is said."""

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def revision() -> str | None:
        git_revision.cache_clear()
        return git_revision()

    package = tmp_path / "audiocx"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "other.py").write_text("")
    monkeypatch.setattr(audiocx, "__file__", str(package / "__init__.py"))
    try:
        git("init", "-q")
        git("add", "other.py")
        git("commit", "-q", "-m", "other")
        assert revision() is None
        git("add", "audiocx")
        git("commit", "-q", "-m", "audiocx")
        whole = revision()
        assert whole is not None
        assert len(whole) == 40
        (package / "__init__.py").write_text("changed")
        assert git_revision() == whole
        assert environment()["git_revision"] == whole
        assert revision() == whole + "+"
    finally:
        git_revision.cache_clear()


def test_without_git_there_is_no_revision(monkeypatch):
    def missing(*arguments: object, **keywords: object) -> SimpleNamespace:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    git_revision.cache_clear()
    try:
        assert git_revision() is None
    finally:
        git_revision.cache_clear()
