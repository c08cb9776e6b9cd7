"""Every proof can fail: layers that are wrong in one way each, and what finds it."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import nn

from audiocx.checks import lowering, numerics, phases, properties
from audiocx.checks.catalogue import ENTRIES
from audiocx.checks.comparing import ProofError
from audiocx.checks.entry import Entry
from audiocx.checks.processes import check_processes
from audiocx.layers.convolution import ComplexConvTranspose1d
from audiocx.layers.diagonal_scan import diagonal_scan
from audiocx.layers.linear_recurrence import LinearRecurrence
from audiocx.layers.norm import WhiteningBatchNorm
from audiocx.layers.planar import PlanarLayer, planes
from audiocx.layers.recurrent import GatedLinearRecurrence
from audiocx.layers.unitary import FullUnitary

BY_NAME = {entry.name: entry for entry in ENTRIES}
MAPS, FRAMES = (2, 4, 3, 5), (2, 4, 7)


def wrong(make, shape=MAPS, **options) -> Entry:
    return Entry("wrong", "own", make, shape, **options)


class TwiceTheGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        return inputs * 3.0

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 6.0


class Layer(PlanarLayer):
    """A layer of one function of planes."""

    def __init__(self, function, *, phase_equivariant=False):
        super().__init__()
        self.function, self.phase_equivariant = function, phase_equivariant

    def transform(self, planar):
        return self.function(planar)


def conjugate(planar):
    real, imaginary = planes(planar)
    return torch.cat((real, -imaginary), 1)


def unguarded_modulus(planar):
    real, imaginary = planes(planar)
    modulus = (real.square() + imaginary.square()).sqrt()
    return torch.cat((modulus * real, modulus * imaginary), 1)


class OtherNative(PlanarLayer):
    def forward(self, inputs):
        return inputs.conj().resolve_conj() if inputs.is_complex() else inputs


class RoughNorm(PlanarLayer):
    def transform(self, planar):
        return planar / (planar.square().mean(1, keepdim=True) + 1e-5).sqrt()


class RoughState(GatedLinearRecurrence):
    def transform(self, planar, state=None):
        outputs, state = super().transform(planar, state)
        return outputs, state.bfloat16() if torch.is_autocast_enabled("cpu") else state


class Forgetful(GatedLinearRecurrence):
    def transform(self, planar, state=None):
        return super().transform(planar, None)


class Foresighted(nn.Module):
    def forward(self, inputs, state=None):
        outputs = inputs + inputs.flip(-1)
        return outputs, inputs[..., -1:].clone()


class Kept(FullUnitary):
    def forward(self):
        return super().forward() + self.skew_real.sum()


class Undecaying(LinearRecurrence):
    def modulus(self):
        return torch.exp(-self.log_decay.exp())


class Conjugated(ComplexConvTranspose1d):
    def transform(self, planar, output_size=None):
        return conjugate(super().transform(conjugate(planar), output_size))


class Hoarding(WhiteningBatchNorm):
    def transform(self, planar):
        self.__dict__.setdefault("hoard", []).append(torch.zeros(1))
        return super().transform(planar)


class Unstable(WhiteningBatchNorm):
    def transform(self, planar):
        return super().transform(planar) / planar.abs().amax()


class Keeping(PlanarLayer):
    """Doubles its weight once and for all."""

    kept = None

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def transform(self, planar):
        if self.kept is None:
            self.kept = 2.0 * self.weight.detach()
        return planar * self.kept


def asks(planar):
    return planar * 2.0 if planar.sum().item() > 0.0 else planar


def needs_audiocx(planar):
    frames = planar.movedim(-1, 0).flatten(1, -2).unsqueeze(-1)
    factor, state = torch.full_like(frames[0, 0], 0.5), torch.zeros_like(frames[0])
    return torch.ops.audiocx.diagonal_scan(frames, factor, state, False).sum() * planar


assert diagonal_scan  # registers the operator

CASES = {
    "another reference": (
        numerics.check_reference,
        replace(BY_NAME["ComplexLinear"], reference=lambda layer, z: layer(z).conj()),
        "output: differs",
    ),
    "another shape": (
        numerics.check_reference,
        replace(BY_NAME["ComplexLinear"], reference=lambda layer, z: layer(z)[:1]),
        "wanted",
    ),
    "a gradient too large": (
        numerics.check_gradients,
        wrong(lambda: Layer(TwiceTheGradient.apply)),
        "gradcheck",
    ),
    "no gradient at zero": (numerics.check_gradients, wrong(lambda: Layer(unguarded_modulus)), "not finite"),
    "a holomorphic layer that says it is none": (
        numerics.check_wirtinger,
        replace(BY_NAME["ComplexLinear"], holomorphic=False),
        "holomorphic is False",
    ),
    "a layer that says it is holomorphic": (
        numerics.check_wirtinger,
        replace(BY_NAME["CReLU"], holomorphic=True),
        "holomorphic is True",
    ),
    "does not turn": (
        phases.check_phase,
        wrong(lambda: Layer(conjugate, phase_equivariant=True)),
        "phase_equivariant is True",
    ),
    "turns": (phases.check_phase, wrong(lambda: Layer(lambda z: 2.0 * z)), "phase_equivariant is False"),
    "another native form": (numerics.check_forms, wrong(OtherNative), "native output"),
    "a norm in bfloat16": (
        lowering.check_bfloat16,
        replace(wrong(RoughNorm, (2, 64, 33, 5)), family="norm"),
        "not computed in float32",
    ),
    "a state in bfloat16": (
        lowering.check_bfloat16,
        wrong(lambda: RoughState(4, 3), FRAMES, has_state=True),
        "the state is torch.bfloat16",
    ),
    "a graph break": (lowering.check_compiled, wrong(lambda: Layer(asks)), "does not compile"),
    "a question to the data": (lowering.check_exported, wrong(lambda: Layer(asks)), "is not exported"),
    "an operator of audiocx": (lowering.check_exported, wrong(lambda: Layer(needs_audiocx)), "needs audiocx"),
    "kept weights": (lowering.check_exported, wrong(Keeping), "has constants"),
    "no state": (
        properties.check_properties,
        wrong(lambda: Forgetful(4, 3), FRAMES, has_state=True),
        "pieces",
    ),
    "the future": (
        lambda entry: properties.check_causal(entry, entry.layer()),
        wrong(Foresighted, FRAMES, has_state=True),
        "frames before a change",
    ),
    "not unitary": (
        properties.check_properties,
        wrong(lambda: Kept(3), (), numbers="real"),
        r"W Wᴴ after 1000 steps",
    ),
    "no decay": (
        lambda entry: properties.check_decay(entry, entry.layer()),
        wrong(lambda: Undecaying(4, 4), FRAMES, has_state=True),
        "is 1.0",
    ),
    "not the adjoint": (properties.check_properties, wrong(lambda: Conjugated(4, 4, 3), FRAMES), "adjoint"),
    "hoards": (properties.check_training, wrong(lambda: Hoarding(4), training=True), "tensors in memory"),
    "divides by silence": (
        properties.check_training,
        wrong(lambda: Unstable(4), training=True),
        "output of step 4",
    ),
}
SLOW = {"hoards", "not unitary"}


@pytest.mark.parametrize(
    ("check", "entry", "says"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.slow if name in SLOW else ())
        for name, case in CASES.items()
    ],
)
def test_what_is_wrong_is_found(check, entry, says):
    with pytest.raises(ProofError, match=says):
        check(entry)


@pytest.mark.slow
def test_statistics_that_processes_do_not_share_are_found():
    alone = functools.partial(WhiteningBatchNorm, 4, synchronise=False)
    entries = [wrong(alone, training=True), BY_NAME["WhiteningBatchNorm"]]
    found = check_processes(entries)
    assert "differs" in found["wrong"]
    assert found["WhiteningBatchNorm"] is None


@pytest.mark.slow
def test_what_does_not_go_into_onnx_is_found():
    pytest.importorskip("onnxruntime")
    wanted = wrong(lambda: Layer(lambda planar: torch.linalg.solve(planar[..., :3], planar)), (2, 4, 3, 5))
    found = lowering.check_onnx([wanted, BY_NAME["CReLU"]])
    assert "ONNX" in found["wrong"]
    assert found["CReLU"] is None
