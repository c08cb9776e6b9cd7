from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from audiocx.models.capacity import matched
from audiocx.models.separator import Separator
from audiocx.signal.stft import STFT
from audiocx.training.muon import Muon, is_matrix, orthogonalise


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_become_about_one(shape, noise):
    values = torch.linalg.svdvals(orthogonalise(noise(*shape), n_steps=8))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_keeps_the_singular_vectors(noise):
    matrix = noise(6, 20, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    result = u.T @ orthogonalise(matrix) @ v.T
    off = result - torch.diag(result.diagonal())
    assert float(off.abs().max()) < 1e-6


def test_who_is_a_matrix():
    assert is_matrix(torch.zeros(5, 8, 3, 3))
    assert is_matrix(torch.zeros(5, 8))
    assert not is_matrix(torch.zeros(34, 3, 9, 1))
    assert not is_matrix(torch.zeros(12, 1, 5, 3))
    assert not is_matrix(torch.zeros(48, 2, 5, 3))
    assert not is_matrix(torch.zeros(4, 48))
    assert not is_matrix(torch.zeros(7))


def reference_update(gradients: list[np.ndarray], momentum: float) -> np.ndarray:
    """Update of a matrix at the last of some gradients, by its singular values: after Jordan et al. 2024."""
    average = sum(
        (1 - momentum) * momentum ** (len(gradients) - 1 - number) * gradient
        for number, gradient in enumerate(gradients)
    )
    nesterov = (1 - momentum) * gradients[-1] + momentum * average
    u, values, v = np.linalg.svd(nesterov, full_matrices=False)
    values = values / np.sqrt(np.square(values).sum())
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    rows, columns = nesterov.shape
    return np.sqrt(max(1.0, rows / columns)) * (u * values) @ v


@pytest.mark.parametrize(
    "shape", [(6, 24), (24, 6), (10, 7, 3, 1), (45, 5, 1, 2)], ids=["wide", "tall", "kernel", "tall kernel"]
)
def test_first_two_steps_are_those_of_the_paper(shape, noise):
    """The second step tells the momentum, tall matrices the scale."""
    parameter = nn.Parameter(noise(*shape, dtype=torch.float64))
    optimizer = Muon([("weight", parameter)], lr=0.1)
    gradients: list[np.ndarray] = []
    for _ in range(2):
        before = parameter.detach().clone()
        parameter.grad = noise(*shape, dtype=torch.float64)
        gradients.append(parameter.grad.flatten(1).numpy().copy())
        optimizer.step()
        update = (before - parameter.detach()).flatten(1).numpy() / 0.1
        np.testing.assert_allclose(update, reference_update(gradients, 0.95), atol=1e-6)
    # It would be seen: half the momentum gives another update.
    assert np.abs(update - reference_update(gradients, 0.5)).max() > 0.01


def relative_update(arithmetic: str, noise: Any) -> float:
    """What one step changes per unit of lr, relative to the weights, over all that Muon takes."""
    network = {"widths": [16, 24], "kernel_sizes": [[3, 3]] * 2, "strides": [[2, 2], [2, 1]]}
    model = {
        "_target_": "audiocx.models.model.MaskingModel",
        "arithmetic": arithmetic,
        "network": {"_target_": "audiocx.models.unet.UNet", "_partial_": True} | network,
    }
    written = {"task": "enhance", "n_sources": 1, "stft": STFT().settings, "model": model}
    separator = Separator.from_config(matched(written, "parameters"))
    separator(noise(2, 1, 4000)).square().mean().backward()
    matrices = [parameter for parameter in separator.parameters() if is_matrix(parameter)]
    before = [parameter.detach().clone() for parameter in matrices]
    Muon(matrices, lr=0.1).step()
    update = sum(
        float((old - new).detach().square().sum()) for old, new in zip(before, matrices, strict=True)
    )
    return float(np.sqrt(update / sum(float(old.square().sum()) for old in before))) / 0.1


def test_complex_kernels_move_further_than_real_ones(noise):
    """As the docstring says: each of the two matrices of a complex kernel is made orthogonal."""
    assert relative_update("complex", noise) / relative_update("real", noise) == pytest.approx(
        2**0.5, rel=0.05
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.0},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"betas": (0.9, 2.0)},
        {"betas": (1.0, 0.9)},
        {"eps": -1.0},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Muon([("weight", nn.Parameter(torch.zeros(8, 8)))], **settings)


def test_complex_parameters_are_refused():
    with pytest.raises(ValueError, match="must be real"):
        Muon([("weight", nn.Parameter(torch.zeros(8, 8, dtype=torch.complex64)))])


def test_the_rest_is_adamw(noise):
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    first = Muon([("bias", ours)], adamw_lr=0.1, betas=(0.9, 0.99))
    second = torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(5):
        gradient = noise(5)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        first.step()
        second.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_trains_a_linear_map(noise):
    torch.manual_seed(0)
    layer = nn.Linear(8, 6)
    wanted, inputs = noise(6, 8), noise(256, 8)
    optimizer = Muon(layer.named_parameters(), lr=0.05, adamw_lr=0.05)
    losses = []
    for _ in range(150):
        loss = (layer(inputs) - inputs @ wanted.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0]


def test_state_goes_on_where_it_was(noise):
    def run(n_before: int) -> torch.Tensor:
        torch.manual_seed(1)
        layer = nn.Linear(7, 6)
        optimizer = Muon(layer.named_parameters())
        gradients = [torch.randn(6, 7, generator=torch.Generator().manual_seed(i)) for i in range(4)]
        for step, gradient in enumerate(gradients):
            if step == n_before:
                state = optimizer.state_dict()
                optimizer = Muon(layer.named_parameters())
                optimizer.load_state_dict(state)
            layer.weight.grad, layer.bias.grad = gradient, gradient.sum(1)
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(run(99), run(2))
