"""The README's own words: its model builds in every arithmetic; commands of pages name what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

from audiocx.models.capacity import matched
from audiocx.models.counting import count_parameters
from audiocx.models.separator import Separator

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = [
    line
    for _, block in BLOCKS
    for line in block.splitlines()
    if re.match(r"(audiocx (train|evaluate)|python scripts/train\.py) ", line)
]
GUIDE = (ROOT / "docs" / "own_recordings.md").read_text(encoding="utf-8")
COMMANDS += re.findall(r"^ {7,8}(audiocx (?:train|evaluate) .*)$", GUIDE, flags=re.MULTILINE)
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").replace("\\\n", " ")
COMMANDS += [
    command.replace("$model", "complex_unet").replace("$", "")
    for command in re.findall(
        r"^ *(?:OMP_NUM_THREADS=1 )?(audiocx (?:train|evaluate) .*)$", RESULTS, flags=re.MULTILINE
    )
]


def test_there_are_commands():
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command):
    words = shlex.split(command, comments=True)
    name = "evaluate" if "evaluate" in words else "train"
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        assert compose(name, overrides=words[2:])


@pytest.mark.parametrize("words", [{}, {"arithmetic": "real"}, {"arithmetic": "dual"}])
def test_the_model_builds_and_has_twins(words, tmp_path, monkeypatch):
    """What a newcomer copies works as it stands, and its twins get its parameters."""
    code = next(block for language, block in BLOCKS if language == "python" and "MyNet" in block)
    config: dict[str, Any] = yaml.safe_load(next(block for language, block in BLOCKS if language == "yaml"))
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "my_net.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    plain = {"task": "enhance", "n_sources": 1, "stft": {}, "model": config}
    complex_one = Separator.from_config(plain)
    twin = Separator.from_config(matched({**plain, "model": {**config, **words}}, "parameters"))
    assert abs(count_parameters(twin) / count_parameters(complex_one) - 1) < 0.03
    assert twin(torch.zeros(1, 1, 3000)).shape == (1, 1, 1, 3000)
