from __future__ import annotations

import json
import logging

import pytest

from audiocx.errors import OutputError
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
