"""Every yaml composes, and every key in it is a parameter of what it names: no typo waits in a file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf"
FILES = sorted(CONF.rglob("*.yaml"))
GIVEN_BY_THE_CODE = {"_target_", "_partial_", "_convert_", "defaults"}


def targets(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_every_key_is_a_parameter(path):
    for node in targets(yaml.safe_load(path.read_text())):
        parameters = inspect.signature(get_object(node["_target_"])).parameters
        assert set(node) - GIVEN_BY_THE_CODE <= set(parameters), node["_target_"]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 50


OPTIONS = [
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in FILES
    if path.parent != CONF and path.parent.name != "experiment"
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes(option):
    group, _, name = option.partition("=")
    outer, _, inner = group.rpartition("/")
    # A group inside a group belongs to those options of the outer one that name it among their defaults.
    owners = [path.stem for path in (CONF / outer).glob("*.yaml") if f"- {inner}:" in path.read_text()]
    overrides = [f"{outer}={owners[0]}", option] if outer else [option]
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = compose("train", overrides=overrides)
        container: Any = OmegaConf.to_container(config, resolve=False)
    expected = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    expected.pop("defaults", None)
    for word in group.split("/"):
        container = container[word]
    for key, value in expected.items():
        assert container[key] == value


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_composes(path):
    written = yaml.safe_load(path.read_text())
    chosen = {
        group.split()[-1].strip("/"): name
        for entry in written.pop("defaults")
        for group, name in entry.items()
    }
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = compose("train", overrides=[f"experiment={path.stem}"], return_hydra_config=True)
    assert {group: config.hydra.runtime.choices[group] for group in chosen} == chosen
    for group, values in written.items():
        for key, value in values.items():
            assert config[group][key] == value


def test_numbers_of_the_stft_stand_in_one_place():
    for path in FILES:
        if path.parent.name in ("stft", "loss"):  # a loss may look at another resolution
            continue
        assert "n_fft:" not in path.read_text(), path
