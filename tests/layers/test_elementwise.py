"""Proofs over all activations, gates, dropouts and pools: one list of cases, held complete by a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy
import pytest
import torch
from torch import Tensor

from audiocx.layers import activation, dropout, gate, pooling
from audiocx.layers.gate import RealValuedLayer
from audiocx.layers.planar import PlanarLayer, to_complex, to_planar

FEATURES = 4
PLACES = (6, 5)
BFLOAT16_TOLERANCE = 2.0**-7
"""Relative: two roundings to the 8 bits of bfloat16."""


@dataclass
class Case:
    """A layer and what it computes, written in NumPy for complex128 from the layer's own parameters."""

    make: Callable[[], PlanarLayer]
    reference: Callable[..., numpy.ndarray] | None
    """(z, **parameters), each parameter shaped (feature, 1, 1); none for what is drawn."""

    @property
    def name(self) -> str:
        return self.make().__class__.__name__

    def layer(self, dtype: torch.dtype = torch.float64) -> PlanarLayer:
        """Make the layer with parameters off their start."""
        layer = self.make().to(dtype)
        torch.manual_seed(3)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter) - 0.2)
        return layer

    @property
    def features(self) -> int:
        """Complex features that go in."""
        return 2 * FEATURES if "GLU" in self.name else FEATURES


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def split_prelu(z, slope_real, slope_imag):
    real = numpy.where(z.real > 0, z.real, slope_real * z.real)
    return real + 1j * numpy.where(z.imag > 0, z.imag, slope_imag * z.imag)


def mod_sigmoid(z, mixture):
    alpha = sigmoid(mixture)
    return sigmoid(alpha * z.real + (1 - alpha) * z.imag)


def mod_softmax(z):
    powers = numpy.exp(numpy.abs(z) ** 2)
    return powers / powers.sum(1, keepdims=True)


def polar(modulus, z):
    return modulus * numpy.exp(1j * numpy.angle(z))


def windows(z, pad):
    """Windows of 3 x 2 at steps of 2 x 1, padded by 1 x 0 with `pad`."""
    padded = numpy.pad(z, ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=pad)
    seen = numpy.lib.stride_tricks.sliding_window_view(padded, (3, 2), (2, 3))[:, :, ::2]
    return seen.reshape(*seen.shape[:4], 6)


def largest(z):
    seen = windows(z, 0)
    return numpy.take_along_axis(seen, numpy.abs(seen).argmax(-1)[..., None], -1)[..., 0]


CASES = [
    Case(activation.CReLU, lambda z: numpy.maximum(z.real, 0) + 1j * numpy.maximum(z.imag, 0)),
    Case(activation.LeakyCReLU, lambda z: split_prelu(z, 0.1, 0.1)),
    Case(lambda: activation.CPReLU(FEATURES), split_prelu),
    Case(
        activation.ZReLU, lambda z: z * ((numpy.angle(z) > 0) & (numpy.angle(z) < numpy.pi / 2)).astype(float)
    ),
    Case(lambda: activation.ModReLU(FEATURES), lambda z, bias: polar(numpy.maximum(abs(z) + bias, 0), z)),
    Case(activation.Cardioid, lambda z: 0.5 * (1 + numpy.cos(numpy.angle(z))) * z),
    Case(activation.PolarTanh, lambda z: polar(numpy.tanh(abs(z)), z)),
    Case(activation.SplitTanh, lambda z: numpy.tanh(z.real) + 1j * numpy.tanh(z.imag)),
    Case(activation.Siglog, lambda z: z / (1 + abs(z))),
    Case(lambda: activation.Siglog(0.5, 3.0), lambda z: z / (0.5 + abs(z) / 3)),
    Case(lambda: gate.ModSigmoid(FEATURES), mod_sigmoid),
    Case(gate.ModSoftmax, mod_softmax),
    Case(
        lambda: gate.ModSigmoidGLU(FEATURES),
        lambda z, mixture: z[:, :FEATURES] * mod_sigmoid(z[:, FEATURES:], mixture),
    ),
    Case(
        lambda: gate.ModulusGLU(FEATURES),
        lambda z, weight, bias: z[:, :FEATURES] * sigmoid(weight * abs(z[:, FEATURES:]) + bias),
    ),
    Case(
        lambda: gate.SplitGLU(FEATURES),
        lambda z: z[:, :FEATURES] * (sigmoid(z.real) + 1j * sigmoid(z.imag))[:, FEATURES:],
    ),
    Case(lambda: dropout.ComplexDropout(0.4), None),
    Case(lambda: dropout.ComplexChannelDropout(0.4), None),
    Case(lambda: pooling.MagnitudeMaxPool2d((3, 2), (2, 1), (1, 0)), largest),
    Case(
        lambda: pooling.ComplexAveragePool2d((3, 2), (2, 1), (1, 0)),
        lambda z: windows(z, 0).mean(-1),
    ),
]

COMPILED = ("ModReLU", "ModulusGLU", "ComplexDropout", "MagnitudeMaxPool2d")
"""One of each family, for the slow set."""

every_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def spectrum(case: Case, dtype: torch.dtype = torch.complex128) -> Tensor:
    """Circular normal features (batch, feature, frequency, frame)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, case.features, *PLACES, generator=generator, dtype=dtype)


def drawn(layer: PlanarLayer, inputs: Tensor) -> Tensor:
    """Apply a layer; one that draws draws the same every time."""
    torch.manual_seed(5)
    return layer(inputs)


def is_real_valued(layer: PlanarLayer) -> bool:
    return isinstance(layer, RealValuedLayer)


def test_every_layer_of_these_files_has_a_case():
    written = {
        name
        for module in (activation, dropout, gate, pooling)
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, PlanarLayer) and found.__module__ == module.__name__
    }
    bases = {"ScalingActivation", "GatedUnit", "RealValuedLayer", "_Pool2d"}
    assert written - bases == {case.name for case in CASES}


@pytest.mark.parametrize("case", [case for case in CASES if case.reference], ids=lambda case: case.name)
def test_equals_numpy_in_complex128(case):
    layer, z = case.layer(), spectrum(case)
    parameters = {
        name: value.detach().numpy()[:, None, None] for name, value in layer.named_parameters(recurse=False)
    }
    wanted = torch.from_numpy(numpy.ascontiguousarray(case.reference(z.numpy(), **parameters)))
    torch.testing.assert_close(layer(z).detach(), wanted, rtol=1e-11, atol=1e-12)


@every_layer
def test_native_equals_planar_with_its_gradient(case):
    layer, z = case.layer(), spectrum(case).requires_grad_()
    planar = to_planar(z.detach()).requires_grad_()
    native, flat = drawn(layer, z), drawn(layer, planar)
    as_native = flat if is_real_valued(layer) else to_complex(flat)
    torch.testing.assert_close(native, as_native, rtol=0, atol=0)
    native.abs().pow(3).sum().backward()
    as_native.abs().pow(3).sum().backward()
    # torch's complex gradient is ∂L/∂x + j ∂L/∂y.
    torch.testing.assert_close(z.grad, to_complex(planar.grad), rtol=1e-12, atol=1e-12)


@every_layer
def test_gradcheck(case):
    layer = case.layer()
    planar = to_planar(spectrum(case)[:1, :, :3, :2]).requires_grad_()
    names, parameters = zip(*layer.named_parameters(), strict=True) if list(layer.parameters()) else ((), ())

    def apply(inputs: Tensor, *values: Tensor) -> Tensor:
        torch.manual_seed(5)
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (inputs,))

    assert torch.autograd.gradcheck(apply, (planar, *parameters), fast_mode=True)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_gradients_are_finite_at_zero_and_near_it(case, dtype):
    layer = case.layer(torch.float32)
    frames = torch.tensor([0.0, -0.0, 1e-23, 1e-40, 3e3], dtype=dtype)
    planar = frames.repeat(1, 2 * case.features, PLACES[0], 1).requires_grad_()
    outputs = drawn(layer, planar)
    assert outputs.dtype == dtype
    assert torch.isfinite(outputs).all()
    outputs.float().sum().backward()
    for gradient in (planar.grad, *(parameter.grad for parameter in layer.parameters())):
        assert torch.isfinite(gradient).all()
    # modReLU of positive b jumps at zero: the slope there is b / ε.
    steepest = 0.5 / 1e-6 if isinstance(layer, activation.ModReLU) else 3.0
    assert float(planar.grad[..., :4].abs().max()) <= steepest


@pytest.mark.parametrize(
    ("layer", "slope"),
    [(activation.Cardioid(), 0.5), (activation.PolarTanh(), 1.0), (activation.Siglog(0.5), 2.0)],
    ids=lambda value: type(value).__name__,
)
def test_slope_at_zero(layer, slope):
    planar = torch.zeros(1, 4, 3, dtype=torch.float64, requires_grad=True)
    layer(planar).sum().backward()
    torch.testing.assert_close(planar.grad, torch.full_like(planar, slope), rtol=1e-9, atol=0)


@every_layer
@pytest.mark.parametrize("angle", [0.9, 2.5, -1.7])
def test_phase_is_as_declared(case, angle):
    layer, z = case.layer(), spectrum(case)
    turn = torch.polar(torch.ones((), dtype=torch.float64), torch.tensor(angle, dtype=torch.float64))
    outputs, turned = drawn(layer, z).detach(), drawn(layer, z * turn).detach()
    assert (float((turned - outputs * turn).abs().max()) < 1e-12) is layer.phase_equivariant
    if is_real_valued(layer):
        assert (float((turned - outputs).abs().max()) < 1e-12) is layer.phase_invariant


@every_layer
def test_bfloat16_autocast(case):
    layer, rounded = case.layer(torch.float32), to_planar(spectrum(case, torch.complex64)).bfloat16()
    precise, rough = rounded.float().requires_grad_(), rounded.clone().requires_grad_()
    wanted = drawn(layer, precise)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = drawn(layer, rough)
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.float(), wanted, rtol=BFLOAT16_TOLERANCE, atol=1e-6)
    wanted.square().sum().backward()
    outputs.float().square().sum().backward()
    error = torch.linalg.vector_norm(rough.grad.float() - precise.grad)
    assert error < 2 * BFLOAT16_TOLERANCE * torch.linalg.vector_norm(precise.grad)


def test_all_compile_into_one_graph():
    """All in one piece of code: each compiled by itself takes seconds, and torch compiles `forward` eight times."""
    torch._dynamo.reset()
    layers = [case.layer(torch.float32) for case in CASES]
    planar = [to_planar(spectrum(case, torch.complex64)) for case in CASES]

    def run() -> list[Tensor]:
        return [layer(inputs) for layer, inputs in zip(layers, planar, strict=True)]

    torch.manual_seed(5)
    wanted = run()
    compiled = torch.compile(run, backend="eager", fullgraph=True)
    torch.manual_seed(5)
    for case, output, expected in zip(CASES, compiled(), wanted, strict=True):
        torch.testing.assert_close(
            output, expected, rtol=0, atol=0, msg=lambda text, case=case: case.name + text
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in COMPILED], ids=lambda case: case.name
)
def test_inductor_gives_the_same(case):
    torch._dynamo.reset()
    layer = case.layer(torch.float32)
    inputs = [to_planar(spectrum(case, torch.complex64)).requires_grad_() for _ in range(2)]
    with torch._inductor.config.patch(fallback_random=True):
        compiled = torch.compile(layer, fullgraph=True)
        outputs = [drawn(layer, inputs[0]), drawn(compiled, inputs[1])]
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-6)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)


class AllLayers(torch.nn.Module):
    """Every case in one module, so that one export holds all."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(case.layer(torch.float32) for case in CASES)

    def forward(self, planar: Tensor, wide: Tensor) -> tuple[Tensor, ...]:
        return tuple(layer(wide if isinstance(layer, gate.GatedUnit) else planar) for layer in self.layers)


def both_inputs(n_frames: int = PLACES[1]) -> tuple[Tensor, Tensor]:
    return torch.randn(2, 2 * FEATURES, PLACES[0], n_frames), torch.randn(
        2, 4 * FEATURES, PLACES[0], n_frames
    )


def test_all_export_with_any_number_of_frames():
    model, free = AllLayers().eval(), {3: torch.export.Dim.AUTO}
    exported = torch.export.export(model, both_inputs(), dynamic_shapes=(free, free)).module()
    inputs = both_inputs(9)
    for case, output, wanted in zip(CASES, exported(*inputs), model(*inputs), strict=True):
        torch.testing.assert_close(output, wanted, msg=lambda text, case=case: case.name + text)


@pytest.mark.slow
def test_all_run_in_onnxruntime(tmp_path):
    onnxruntime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    model, inputs, path = AllLayers().eval(), both_inputs(), str(tmp_path / "layers.onnx")
    torch.onnx.export(model, inputs, path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    names = [argument.name for argument in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True)))
    for case, output, wanted in zip(CASES, outputs, model(*inputs), strict=True):
        torch.testing.assert_close(
            torch.from_numpy(output),
            wanted.detach(),
            rtol=1e-5,
            atol=1e-6,
            msg=lambda text, case=case: case.name + text,
        )


@every_layer
def test_channels_last_stays(case):
    layer = case.layer(torch.float32)
    planar = to_planar(spectrum(case, torch.complex64))
    outputs = drawn(layer, planar.contiguous(memory_format=torch.channels_last))
    if not is_real_valued(layer):
        assert outputs.is_contiguous(memory_format=torch.channels_last)
    if not isinstance(layer, dropout.ComplexDropout):
        torch.testing.assert_close(outputs, layer(planar))


@every_layer
def test_any_number_of_axes(case):
    layer = case.layer(torch.float32)
    if not isinstance(layer, pooling.MagnitudeMaxPool2d | pooling.ComplexAveragePool2d):
        planar = torch.randn(2, 2 * case.features, 7)
        torch.testing.assert_close(drawn(layer, planar), drawn(layer, planar[..., None])[..., 0])
