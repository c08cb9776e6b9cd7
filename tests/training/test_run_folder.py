from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from audiocx.errors import OutputError, TrainingError
from audiocx.training.run_folder import RunFolder


def test_a_log_leaves_the_logger_as_it_was(tmp_path, capsys):
    """Warnings reach the terminal once, however many runs there were before in this process."""
    logger = logging.getLogger("audiocx")
    before = (list(logger.handlers), logger.level)
    for number in range(2):
        folder = RunFolder(tmp_path / str(number))
        folder.make()
        with folder.logged():
            logger.getChild("data").info("told the file")
            logger.getChild("data").warning("told both")
        assert (list(logger.handlers), logger.level) == before
        assert capsys.readouterr().err.count("told both") == 1
        text = (folder.path / "log.txt").read_text()
        assert "told the file" in text
        assert text.count("told both") == 1
    with pytest.raises(ValueError, match="inside"), RunFolder(tmp_path / "0").logged():
        raise ValueError("inside")
    assert (list(logger.handlers), logger.level) == before


def test_only_a_run_that_did_not_start_loses_its_log(tmp_path):
    folder = RunFolder(tmp_path)
    folder.make()
    (tmp_path / "log.txt").write_text("")
    folder.write_config("seed: 0\n")
    folder.remove_unstarted()
    assert (tmp_path / "log.txt").exists()
    (tmp_path / "config.yaml").unlink()
    folder.remove_unstarted()
    assert not (tmp_path / "log.txt").exists()


def test_a_run_is_gone_on_with_in_its_own_folder_alone(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.make()
    folder.write_config("seed: 0\n")
    folder.make(going_on=folder.last)
    for going_on in (None, tmp_path / "other" / "checkpoints" / "last.ckpt"):
        with pytest.raises(OutputError, match="holds another run"):
            folder.make(going_on=going_on)


def test_facts_stand_in_the_environment(tmp_path):
    folder = RunFolder(tmp_path)
    folder.facts["init"] = {"path": "a"}
    folder.write_environment({"seed": 3})
    written = json.loads((tmp_path / "environment.json").read_text())
    assert (written["init"], written["seed"]) == ({"path": "a"}, 3)
    assert "python" in written
    assert "legs" not in written  # no training
    folder.write_environment({"seed": 3}, first_step=0)
    written = json.loads((tmp_path / "environment.json").read_text())
    assert [leg["first_step"] for leg in written["legs"]] == [0]
    assert written["legs"][0]["init"] == written["init"] == {"path": "a"}


def filled(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_a_model_is_removed_whole(tmp_path, monkeypatch):
    """It has another name before anything of it is deleted; what a kill has left of a former one goes, too."""
    folder = RunFolder(tmp_path)
    folder.remove_model()  # there is none
    filled(folder.model)
    left = filled(tmp_path / ".model.removed")
    rmtree = shutil.rmtree
    seen = []

    def watched(path: Path, **keywords: bool) -> None:
        seen.append((path, folder.model.exists()))
        rmtree(path, **keywords)

    monkeypatch.setattr(shutil, "rmtree", watched)
    folder.remove_model()
    assert seen == [(left, True), (left, False)]
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_removed_says_so(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    filled(folder.model)
    filled(tmp_path / ".model.removed")
    monkeypatch.setattr(shutil, "rmtree", lambda path, **keywords: None)
    with pytest.raises(
        TrainingError, match="model of the training before cannot be removed; got Directory not"
    ):
        folder.remove_model()
    assert (folder.model / "config.json").is_file()


def log_a_line(folder: RunFolder) -> None:
    with folder.logged():
        logging.getLogger("audiocx").info("a line")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("config.yaml", lambda folder: folder.write_config("seed: 0")),
        ("environment.json", lambda folder: folder.write_environment({})),
        ("capacity.json", lambda folder: folder.write_capacity({})),
        ("log.txt", log_a_line),
    ],
)
def test_what_cannot_be_written_says_so(name, write, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=rf"{name}: cannot be written; got Is a directory"):
        write(RunFolder(tmp_path))
    assert not list(tmp_path.glob(".*"))
