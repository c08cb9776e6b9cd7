"""`audiocx check-layers` in-process: over layers of audiocx, and over a user's own that are right and wrong."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from audiocx.apps.main import main

LAYERS = '''
import numpy
import torch
from torch import nn

from audiocx.layers.activation import ModReLU
from audiocx.layers.convolution import ComplexConv1d, ComplexConv2d
from audiocx.layers.planar import PlanarLayer, planes


class Turning(PlanarLayer):
    """Scales by a real number for every feature."""

    phase_equivariant = True

    def __init__(self, features: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))

    def transform(self, planar):
        return planar * self.scale.repeat(2).view(1, -1, *[1] * (planar.ndim - 2))


def turning(layer, z):
    scale = layer.scale.detach().numpy().reshape(1, -1, 1, 1)
    return torch.from_numpy(numpy.asarray(z) * scale)


def shifted(layer, z):
    return turning(layer, z) + 1


class Untrue(Turning):
    """Conjugates and says that it turns; has no gradient at zero."""

    def transform(self, planar):
        real, imaginary = planes(super().transform(planar))
        modulus = (real.square() + imaginary.square()).sqrt()
        return torch.cat((real / modulus, -imaginary / modulus), 1)


class Native(nn.Module):
    """A matrix of native complex numbers; an error in words of several lines for planes."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features, dtype=torch.complex64))

    def forward(self, z):
        if not z.is_complex():
            raise TypeError("complex numbers\\nplease")
        return torch.einsum("oi,bi...->bo...", self.weight, z)


class Model(nn.Module):
    """Masks a spectrum: turns by twice the phase, and does not say so."""

    def __init__(self, width: int = 3):
        super().__init__()
        self.layers = nn.Sequential(
            ComplexConv2d(1, width, 3, padding=1, bias=False),
            ModReLU(width),
            ComplexConv2d(width, 1, 3, padding=1, bias=False),
        )

    def forward(self, spectrum):
        return spectrum * self.layers(spectrum)


class Kept(PlanarLayer):
    """A sum over frames with the state of the frame before."""

    phase_equivariant = True

    def transform(self, planar, state=None):
        summed = planar.cumsum(-1) + (0.0 if state is None else state)
        return summed, summed[..., -1:].clone()


class Forgetting(Kept):
    def transform(self, planar, state=None):
        return super().transform(planar, None)


class Loudness(nn.Module):
    """Power of every item: real numbers of native ones, whatever their phase."""

    def forward(self, z):
        return z.abs().square().flatten(1).mean(1)


class Needy(nn.Module):
    def __init__(self, mystery):
        super().__init__()
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A user's own module in the working directory."""
    (tmp_path / "own_layers.py").write_text(LAYERS, encoding="utf-8")
    (tmp_path / "broken_layers.py").write_text("def (", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in ("own_layers", "broken_layers"):
        sys.modules.pop(name, None)


def run(*words: str) -> int:
    return main(["check-layers", *words])


def marks(printed: str, name: str) -> dict[str, str]:
    """What the row of a layer says, by the number of the proof."""
    lines = printed.splitlines()
    heading = next(line for line in lines if line.startswith("layer ")).split()[1:]
    row = next(line for line in lines if line.startswith(name) and line.split()[-1] in "✓✗–")
    return dict(zip(heading, row.split()[-len(heading) :], strict=True))


def test_layers_of_audiocx(capsys):
    assert run("--only", "rms", "--proofs", "reference,gradients,phase,property") == 0
    printed = capsys.readouterr().out
    assert marks(printed, "ComplexRMSNorm, by place") == {"1": "✓", "2": "✓", "3": "✓", "10": "–"}
    assert marks(printed, "RMSNorm ") == {"1": "✓", "2": "✓", "3": "–", "10": "–"}
    assert printed.count("real twins and layers that know nothing of pairs have no phase") == 1
    assert "0 fail" in printed


def test_an_own_layer_that_is_right(package, capsys):
    assert run("own_layers:Turning", "--reference", "own_layers:turning") == 0
    printed = capsys.readouterr().out
    assert "own_layers:Turning(features=4) on complex (2, 4, 6, 5), native and planar" in printed
    assert marks(printed, "Turning") == {
        number: "–" if number in ("8", "10") else "✓"
        for number in ("1", "2", "3", "4", "5", "6", "8", "9", "10")
    }
    assert "7" not in marks(printed, "Turning")  # two processes: with --full


def test_an_own_layer_that_is_wrong(package, capsys):
    proofs = ("--proofs", "reference,gradients,phase,forms")
    assert run("own_layers:Untrue", *proofs) == 1
    printed = capsys.readouterr().out
    assert marks(printed, "Untrue") == {"1": "–", "2": "✗", "3": "✗", "4": "✓"}
    assert "✗ 2 gradients: Untrue: output at 0: 480 of 480 not finite" in printed
    assert "✗ 3 phase: Untrue: phase_equivariant is True" in printed
    assert run("own_layers:Turning", "--reference", "own_layers:shifted", *proofs) == 1
    assert marks(capsys.readouterr().out, "Turning") == {"1": "✗", "2": "✓", "3": "✓", "4": "✓"}


def test_native_layers_take_one_form(package, capsys):
    arguments = ("--arguments", '{"out_features": 3}', "--shape", "2,4,7")
    assert run("own_layers:Native", *arguments, "--proofs", "gradients,phase,forms,onnx") == 0
    printed = capsys.readouterr().out
    assert "own_layers:Native(out_features=3, in_features=4) on complex (2, 4, 7), native\n" in printed
    assert marks(printed, "Native") == {"2": "✓", "3": "✓", "4": "–", "9b": "–"}
    assert "it takes one form only (Native)" in printed
    assert "does not declare `phase_equivariant`; its output turns with a global phase" in printed


def test_a_model_of_ones_own(package, capsys):
    assert run("own_layers:Model", "--proofs", "gradients,phase,bfloat16") == 0
    printed = capsys.readouterr().out
    assert "own_layers:Model() on complex (2, 1, 6, 5)" in printed
    assert "its output is changed by a global phase" in printed


def test_real_numbers_of_complex_ones(package, capsys):
    assert run("own_layers:Loudness", "--form", "native", "--proofs", "gradients,phase,bfloat16,compile") == 0
    assert "its output is left as it is by a global phase" in capsys.readouterr().out


def test_state_is_found(package, capsys):
    assert run("own_layers:Kept", "--proofs", "phase,property") == 0
    assert "native and planar, with a state" in capsys.readouterr().out
    assert run("own_layers:Forgetting", "--proofs", "property") == 1
    assert "✗ 10 property: Forgetting: pieces: differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["own_layers"], "expected mypackage:MyLayer"),
        (["own_layers:Nothing"], "cannot import `own_layers.Nothing`"),
        (["nowhere:Layer"], "cannot import `nowhere.Layer`"),
        (["broken_layers:Layer"], "SyntaxError"),
        (["own_layers:turning"], "no class of torch modules"),
        (["own_layers:Needy"], """give --arguments '{"mystery": ...}'"""),
        (["own_layers:Turning", "--arguments", '{"feature": 3}'], "did you mean `features`"),
        (["own_layers:Turning", "--arguments", "4"], "invalid JSON object"),
        (["own_layers:Turning", "--arguments", '{"features": "x"}'], "cannot be made with"),
        (["own_layers:Turning", "--shape", "2,4,0"], "invalid list of sizes"),
        (["own_layers:Turning", "--shape", "2,5,7"], "cannot be called"),
        (["own_layers:Turning", "--shpe", "2,5,7"], "did you mean `--shape`"),
        (["own_layers:Turning", "--only", "norm"], "--only chooses among the layers of audiocx"),
        (["own_layers:Turning", "own_layers:Native"], "expected one at a time"),
        (["own_layers:Native", "--form", "planar"], "cannot be called"),
        (["own_layers:Native", "--reference", "own_layers:nothing"], "own_layers.nothing"),
        (["--shape", "2,4,9"], "--shape is of a layer of your own"),
        (["--only", "nrm"], "did you mean `norm`"),
        (["--proofs", "phase,gradient"], "did you mean `gradients`"),
    ],
)
def test_usage_errors_are_one_line(package, words, says, capsys):
    assert run(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert says in printed.err


def test_letters_that_cannot_be_written(package, monkeypatch):
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    assert run("--only", "ComplexLinear", "--proofs", "gradients,phase,forms,property") == 0
    written.flush()
    printed = written.buffer.getvalue().decode("ascii")
    assert "ComplexLinear           +  +  +  -\n" in printed


@pytest.mark.slow
def test_all_of_it_from_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "audiocx", "check-layers"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "0 fail" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_an_own_layer_in_full(package, capsys):
    pytest.importorskip("onnxruntime")
    assert run("own_layers:Turning", "--full") == 0
    found = marks(capsys.readouterr().out, "Turning")
    assert {number for number, mark in found.items() if mark == "–"} == {"1", "8", "10"}
    assert {"7", "9b"} <= set(found)
