"""Imports point one way; no test is empty; files fit in a head. Read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "audiocx"

# room -> rooms that its files may import; every room may import `errors` and itself.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "signal": set(),
    "audio": set(),
    "layers": {"signal"},
    "spatial": {"signal"},
    "losses": {"signal"},
    "metrics": {"signal"},
    "data": {"signal", "audio"},
    "models": {"signal", "layers", "spatial"},
    "checks": {"signal", "layers", "models"},
    "pretrained": {"models"},
    "training": {"signal", "layers", "models", "losses", "metrics", "data", "audio"},
    "inference": {"signal", "models", "audio", "pretrained"},
    "evaluation": {"signal", "models", "metrics", "data", "audio", "training", "inference"},
    "benchmarks": {"signal", "layers", "models"},
    "apps": {
        "benchmarks", "signal", "audio", "layers", "models", "losses", "metrics", "data",
        "training", "inference", "evaluation", "spatial", "pretrained", "checks",
    },
    "__main__": {"apps"},
}  # fmt: skip


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[tuple[str, int]]:
    """Rooms of audiocx that a file imports, wherever in it, with the line."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "audiocx":
                names = [f"audiocx.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "audiocx" and len(parts) > 1:
                found.add((parts[1], node.lineno))
    return found


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_imports_follow_the_table(path):
    room = room_of(path)
    if path == PACKAGE / "__init__.py":
        assert imports(path) == set()  # it names modules as strings
        return
    assert room in ALLOWED, f"audiocx/{room} is not in the table of rooms"
    for imported, line in imports(path):
        if imported.startswith("__"):
            continue
        assert imported in ALLOWED[room] | {room, "errors"}, (
            f"audiocx/{path.relative_to(PACKAGE)}:{line} imports audiocx.{imported}; "
            f"{room} may import: {sorted(ALLOWED[room] | {'errors'})}"
        )


def test_only_apps_imports_inside_functions():
    """A cycle must not be hidden in a function; the command line alone defers what is heavy."""
    for path in SOURCES:
        if room_of(path) == "apps":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                if any(name.partition(".")[0] == "audiocx" for name in names):
                    pytest.fail(f"{path.relative_to(ROOT)}:{node.lineno} imports audiocx inside a function")


def test_torch_stft_is_called_in_no_file():
    """Frames are cut and joined in signal/stft.py alone."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("stft", "istft"):
                owner = node.value
                assert not (isinstance(owner, ast.Name) and owner.id in ("torch", "librosa")), path


def test_torchaudio_stays_in_signal():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if "import torchaudio" in text:
            assert room_of(path) == "signal", path


def test_files_fit_in_a_head():
    long = {
        str(path.relative_to(ROOT)): n_lines
        for path in SOURCES
        if (n_lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_scripts_are_ten_lines():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 10, path


ASSERTING = {"raises", "fail", "skip", "warns"}


def asserts(function: ast.FunctionDef, helpers: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ASSERTING or name.startswith(("assert_", "check_")) or name in helpers:
                return True
    return False


def test_every_test_can_fail():
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        helpers = {f.name for f in functions if not f.name.startswith("test") and asserts(f, set())}
        for function in functions:
            if function.name.startswith("test"):
                assert asserts(function, helpers), f"{path.name}: {function.name} checks nothing"


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)


@pytest.mark.slow
def test_works_without_torchaudio():
    """torchaudio may be installed and not import: never a reason to fail."""
    blocked = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torchaudio':\n"
        "            raise OSError('libcudart.so.13: cannot open shared object file')\n"
        "sys.meta_path.insert(0, Block())\n"
    )
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in SOURCES
        if path.name != "__init__.py" and path.stem != "__main__"
    ]
    code = blocked + "import importlib\n" + f"for name in {modules!r}: importlib.import_module(name)\n"
    code += "import torch, audiocx\nprint(audiocx.STFT()(torch.zeros(100)).shape)\n"
    done = in_a_process(code)
    assert done.returncode == 0, done.stderr
    assert "257" in done.stdout
