from __future__ import annotations

import numpy as np
import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.layers.norm import NaiveBatchNorm, WhiteningBatchNorm
from audiocx.layers.planar import to_complex
from audiocx.layers.whitening import inverse_root, plain_whiten_batch, whiten_batch

EPSILON = 1e-5


@pytest.fixture
def correlated(noise):
    """Planar float64 batch whose parts differ in power, are correlated and have a mean."""
    planar = noise(4, 6, 5, 7, dtype=torch.float64)
    planar[:, 3:] = 0.3 * planar[:, 3:] + 0.8 * planar[:, :3] - 2.0
    return planar


@pytest.fixture
def layer(noise):
    """Layer with no symmetry in its parameters."""
    layer = WhiteningBatchNorm(3).double()
    with torch.no_grad():
        layer.weight.copy_(noise(9, dtype=torch.float64))
        layer.bias.copy_(noise(6, dtype=torch.float64))
    return layer


def inverse_root_by_eigenvalues(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def reference(z: np.ndarray, weight: np.ndarray, bias: np.ndarray, ddof: int = 0):
    """Whitening in NumPy, from complex numbers, by eigenvalues: outputs, means and raw covariances."""
    outputs, means, covariances = np.empty_like(z), [], []
    for feature in range(z.shape[1]):
        values = z[:, feature].ravel()
        pairs = np.stack([values.real, values.imag])
        covariance = np.cov(pairs, ddof=0)
        gamma = np.array([[weight[0, feature], weight[2, feature]], [weight[2, feature], weight[1, feature]]])
        white = inverse_root_by_eigenvalues(covariance + EPSILON * np.eye(2)) @ (
            pairs - pairs.mean(1, keepdims=True)
        )
        mapped = gamma @ white + bias[:, feature, None]
        outputs[:, feature] = (mapped[0] + 1j * mapped[1]).reshape(z[:, feature].shape)
        means.append(pairs.mean(1))
        covariances.append(np.cov(pairs, ddof=ddof))
    return outputs, np.array(means), np.array(covariances)


def covariance_of(planar: torch.Tensor) -> torch.Tensor:
    pairs = to_complex(planar).transpose(0, 1).flatten(1)
    return torch.stack([torch.cov(torch.stack([p.real, p.imag]), correction=0) for p in pairs])


def test_known_inverse_root():
    """The vector of references, appendix C."""
    inverse, determinant, trace = inverse_root(torch.tensor([[2.0], [1.0], [0.6]], dtype=torch.float64), 0.0)
    expected = torch.tensor([[0.755172], [1.086297], [-0.198675]], dtype=torch.float64)
    torch.testing.assert_close(inverse, expected, rtol=0, atol=1e-6)
    assert float(determinant) == pytest.approx(1.280625, abs=1e-6)
    assert float(trace) == pytest.approx(2.358230, abs=1e-6)


def test_rounding_below_a_singular_covariance_does_no_harm():
    """In float32 the product of the variances falls short of the squared covariance by far more than ε tr V."""
    rr, ii = torch.tensor([2e6, 3e7]), torch.tensor([5e6, 3e7])
    ri = (rr * ii).sqrt() * (1 + 2e-7)
    assert (rr * ii - ri * ri + EPSILON * (rr + ii + EPSILON) < 0).all()
    inverse, determinant, trace = inverse_root(torch.stack((rr, ii, ri)), EPSILON)
    torch.testing.assert_close(determinant, (EPSILON * (rr + ii)).sqrt())
    torch.testing.assert_close(trace, (rr + ii).sqrt(), rtol=1e-4, atol=0)
    assert inverse.abs().max() < EPSILON**-0.5 * 1.01


def test_equals_numpy_in_complex128(layer, correlated):
    z = to_complex(correlated)
    weight, bias = layer.weight.detach().view(3, -1).numpy(), layer.bias.detach().view(2, -1).numpy()
    expected, means, covariances = reference(z.numpy(), weight, bias, ddof=1)
    torch.testing.assert_close(layer(z).detach(), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(layer.running_mean.T, torch.from_numpy(0.1 * means), rtol=1e-9, atol=1e-12)
    rr, ii, ri = layer.running_covariance
    tracked = np.moveaxis(np.array([[rr.numpy(), ri.numpy()], [ri.numpy(), ii.numpy()]]), 2, 0)
    start = torch.eye(2, dtype=torch.float64).numpy() * np.float64(np.float32(0.5))
    np.testing.assert_allclose(tracked, 0.9 * start + 0.1 * covariances, rtol=1e-9, atol=1e-12)


def test_output_is_white(correlated):
    layer = WhiteningBatchNorm(3, epsilon=1e-12).double()
    whitened = layer(correlated)
    torch.testing.assert_close(
        covariance_of(whitened), 0.5 * torch.eye(2, dtype=torch.float64).expand(3, 2, 2), rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(
        whitened.mean((0, 2, 3)), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-10
    )
    power = to_complex(whitened).abs().square().mean((0, 2, 3))
    torch.testing.assert_close(power, torch.ones(3, dtype=torch.float64), rtol=1e-6, atol=0)


def test_a_map_of_the_input_turns_the_output_alone(correlated, noise):
    """Any invertible map of the pairs changes the whitened output by an orthogonal matrix."""
    layer = WhiteningBatchNorm(3, epsilon=1e-14).double()
    matrix = torch.tensor([[1.3, -0.4], [2.0, 0.7]], dtype=torch.float64)
    real, imaginary = correlated.chunk(2, 1)
    mapped = torch.cat([matrix[k, 0] * real + matrix[k, 1] * imaginary + k for k in range(2)], 1)
    before, after = (to_complex(layer(x))[:, 0].flatten() for x in (correlated, mapped))
    first, second = (torch.stack([z.real, z.imag]) for z in (before, after))
    turn = second @ first.T / first.square().sum() * 2
    torch.testing.assert_close(turn @ turn.T, torch.eye(2, dtype=torch.float64), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(turn @ first, second, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_few_passes_equal_the_formula_as_written(layer, correlated, noise, layout):
    weight, bias = layer.weight.detach().view(3, -1), layer.bias.detach().view(2, -1)
    gradient = noise(*correlated.shape, dtype=torch.float64)
    results = []
    for form in (whiten_batch, plain_whiten_batch):
        inputs = [
            x.clone().requires_grad_() for x in (correlated.contiguous(memory_format=layout), weight, bias)
        ]
        outputs, *moments = form(*inputs, EPSILON, synchronise=False)
        results.append([outputs, *moments, *torch.autograd.grad(outputs, inputs, gradient)])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


def test_eval_is_a_fixed_affine_map(layer, correlated, noise):
    for _ in range(3):
        layer(correlated)
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x, y = correlated, noise(4, 6, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(
        layer(0.3 * x + 0.7 * y), 0.3 * layer(x) + 0.7 * layer(y), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_eval_with_the_moments_of_the_batch_is_training(layer, correlated):
    """ε is added once in both; only the n/(n-1) of the running covariance lies between them."""
    layer.momentum = 1.0
    trained = layer(correlated)
    n = correlated.numel() / correlated.shape[1]
    layer.running_covariance.mul_((n - 1) / n)
    torch.testing.assert_close(layer.eval()(correlated), trained, rtol=1e-9, atol=1e-9)


def test_untrained_eval_changes_nothing(noise):
    planar = noise(2, 6, 5, 4)
    torch.testing.assert_close(WhiteningBatchNorm(3).eval()(planar), planar, rtol=1e-4, atol=1e-6)


def test_cumulative_statistics_are_the_mean_of_batches(noise):
    layer = WhiteningBatchNorm(2, momentum=None)
    batches = [noise(3, 4, 5) + k for k in range(3)]
    for batch in batches:
        layer(batch)
    mean = torch.stack([batch.mean((0, 2)) for batch in batches]).mean(0)
    torch.testing.assert_close(layer.running_mean.flatten(), mean)
    assert int(layer.num_batches_tracked) == 3


def awkward(kind: str, noise) -> torch.Tensor:
    planar = noise(2, 4, 6, 5)
    if kind == "real":
        planar[:, 2:] = 0.0
    elif kind == "rank-deficient":
        planar[:, 2:] = 3.0 * planar[:, :2]
    elif kind == "equal and loud":
        planar[:, :2] *= 1e3
        planar[:, 2:] = planar[:, :2]
    elif kind == "constant":
        planar[:] = 5.0
    else:
        planar[:] = float(kind)
    return planar


AWKWARD = ["real", "rank-deficient", "equal and loud", "constant", "0", "1e-23", "1e-40"]


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_input_is_finite(kind, noise):
    planar, layer = awkward(kind, noise).requires_grad_(), WhiteningBatchNorm(2)
    outputs = layer(planar)
    outputs.pow(3).sum().backward()
    for values in (outputs, planar.grad, layer.weight.grad, layer.bias.grad, layer.eval()(planar)):
        assert torch.isfinite(values).all()
    assert outputs.abs().max() < 10


def test_an_input_without_imaginary_part_keeps_none(noise):
    outputs = WhiteningBatchNorm(2)(awkward("real", noise))
    assert torch.equal(outputs[:, 2:], torch.zeros_like(outputs[:, 2:]))


def test_one_place_has_no_covariance(noise):
    with pytest.raises(ShapeError, match="two places"):
        WhiteningBatchNorm(2)(noise(1, 4, 1, 1))
    WhiteningBatchNorm(2).eval()(noise(1, 4, 1, 1))


def test_phase_does_not_pass_through_as_declared(noise):
    layer, naive = WhiteningBatchNorm(2), NaiveBatchNorm(2)
    z = torch.complex(2.0 * noise(2, 2, 8, 3), noise(2, 2, 8, 3))
    turn = torch.polar(torch.tensor(1.0), torch.tensor(1.0))
    assert not layer.phase_equivariant
    assert not naive.phase_equivariant
    assert not torch.allclose(naive(z * turn), naive(z) * turn, rtol=0.05, atol=0.05)
    # The symmetric root turns with the batch: as long as Γ is a number and β is 0, training cannot be told from
    # an equivariant map. Fixed statistics can, and so can any other Γ.
    torch.testing.assert_close(layer(z * turn), layer(z) * turn, rtol=1e-4, atol=1e-5)
    layer(z)
    layer.eval()
    assert not torch.allclose(layer(z * turn), layer(z) * turn, rtol=0.05, atol=0.05)
    layer.train()
    with torch.no_grad():
        layer.weight[4:] = 0.4
    assert not torch.allclose(layer(z * turn), layer(z) * turn, rtol=0.05, atol=0.05)


def test_state_dict_round_trip(layer, correlated):
    layer(correlated)
    other = WhiteningBatchNorm(3).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval()(correlated), layer.eval()(correlated))
    assert sum(p.numel() for p in layer.parameters()) == 5 * 3
