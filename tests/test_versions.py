"""The fast set with the oldest and the newest releases that pyproject.toml admits; in fresh environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]

PYTHON = "AUDIOCX_PYTHON"
"""Names the interpreter, where `python3.10` on the path is not the one that is wanted."""


def requirements() -> list[Requirement]:
    """What the package and its tests need, extras of its own resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    waiting = [*project["dependencies"], *extras["dev"]]
    found = []
    while waiting:
        requirement = Requirement(waiting.pop(0))
        if requirement.name == project["name"]:
            waiting += [line for extra in sorted(requirement.extras) for line in extras[extra]]
        else:
            found.append(requirement)
    return found


def lowest(requirement: Requirement) -> str:
    """`name==version` of the oldest release that is admitted."""
    (bound,) = [item.version for item in requirement.specifier if item.operator == ">="]
    return f"{requirement.name}=={bound}"


def test_every_requirement_says_what_is_old_enough():
    pins = [lowest(requirement) for requirement in requirements()]
    assert {"torch", "numpy", "hydra-core", "pytest"} <= {pin.partition("==")[0] for pin in pins}


def python310() -> str:
    command = os.environ.get(PYTHON) or shutil.which("python3.10")
    if command is None or subprocess.run([command, "--version"], capture_output=True).returncode:
        pytest.skip(f"no Python 3.10 here; {PYTHON}=... names one")
    return command


@pytest.mark.long
@pytest.mark.parametrize("which", ["lowest on Python 3.10", "newest", "torch 2.13.0 (CPU)"])
def test_the_fast_set_passes_with_other_releases(tmp_path, which):
    """Takes gigabytes and a quarter of an hour each; docs/reliability.md says when it ran last."""
    base, packages = sys.executable, [str(requirement) for requirement in requirements()]
    if which.startswith("lowest"):
        base, packages = python310(), [lowest(requirement) for requirement in requirements()]
    elif which.startswith("torch"):
        # Its torchaudio does not import: that must not matter.
        packages += ["torch==2.13.0"]
    subprocess.run([base, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
