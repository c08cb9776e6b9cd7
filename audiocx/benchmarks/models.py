"""Contests of whole networks and of recurrences, between arithmetics and with other libraries."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from audiocx.benchmarks import rivals
from audiocx.benchmarks.case import Case, Contest, Work
from audiocx.benchmarks.layers import N_FREQUENCIES, NETWORKS, contest_of
from audiocx.benchmarks.native import NativeDCUNet
from audiocx.layers.linear_recurrence import LinearRecurrence
from audiocx.layers.quasi_complex import QuasiComplexRecurrence, RealRecurrence
from audiocx.layers.recurrent import GatedLinearRecurrence, RealGatedLinearRecurrence
from audiocx.models.dcunet import TABLES, DCUNet, Table
from audiocx.models.model import MaskingModel

SEQUENCES = 16
FRAMES = (63, 1000)
HIDDEN = 128
"""Complex features of recurrences, as in DCCRN."""

NORMED = (32, 257, 65)
"""Features and places of DCUNet-10's first norm."""

Make = Callable[[torch.device], Work]


def contests(batch: int, n_frames: int, *, bf16: bool, smoke: bool = False) -> list[Contest]:
    """Make the contests of networks, recurrences and norms.

    Args:
        batch: spectra that enter a network.
        n_frames: of each, one more than a multiple of 16.
        bf16: add ours under autocast in bfloat16.
        smoke: everything tiny, to see that all runs.
    """
    spectrum, normed, networks = (batch, 1, N_FREQUENCIES, n_frames), NORMED, NETWORKS
    lengths: tuple[int, ...] = FRAMES
    hidden = HIDDEN
    if smoke:
        spectrum, normed, networks = (1, 1, 33, 17), (3, 9, 5), {"DCUNet-10": 10}
        lengths, hidden = (5,), 4
    found = [_network(name, depth, spectrum, bf16) for name, depth in networks.items()]
    found += [_lstm(n, hidden) for n in lengths]
    found += [_linear(n, hidden) for n in lengths]
    shape = f"whitening norm, {normed[0]} features on {batch}x{normed[1]}x{normed[2]}"
    norms = functools.partial(rivals.batch_norms, normed[0])
    return [*found, contest_of(shape, norms, (batch, *normed), True, bf16)]


def _complex_noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))


def _network(name: str, depth: int, spectrum: tuple[int, int, int, int], bf16: bool) -> Contest:
    """DCUNet, spectrum to bounded mask; every arm has the published table."""
    shape = f"{name} on {spectrum[0]}x{spectrum[2]}x{spectrum[3]}"
    ours = functools.partial(_our_network, depth, spectrum, "complex", "batch")
    cases = [
        Case("ours", ours),
        Case("ours, split norm", functools.partial(_our_network, depth, spectrum, "complex", "naive_batch")),
        Case("real, 2C features", functools.partial(_our_network, depth, spectrum, "real", "batch")),
        Case("native complex64", functools.partial(_native_network, TABLES[depth], spectrum)),
        Case("asteroid", functools.partial(_asteroid_network, name, spectrum)),
    ]
    if bf16:
        cases.append(Case("ours, bf16", ours, half=True))
    return Contest(shape, tuple(cases))


def _our_network(
    depth: int, spectrum: tuple[int, ...], arithmetic: str, norm: str, device: torch.device
) -> Work:
    model = MaskingModel(
        functools.partial(DCUNet, depth=depth, norm=norm),
        arithmetic=arithmetic,
        head="plain_mask",
        compression=1.0,
        mask_bound=1.0,
        n_frequencies=spectrum[2],
    ).to(device)
    mixture_stft = _complex_noise(*spectrum).to(device)
    return Work(model, lambda: model(mixture_stft))


def _native_network(table: Table, spectrum: tuple[int, ...], device: torch.device) -> Work:
    model = NativeDCUNet(table).to(device)
    mixture_stft = _complex_noise(*spectrum).to(device)
    return Work(model, lambda: model(mixture_stft))


def _asteroid_network(name: str, spectrum: tuple[int, ...], device: torch.device) -> Work:
    network: Any = rivals.layer_of("asteroid.masknn.convolutional", "DCUMaskNet")
    model = network.default_architecture(name, n_src=1).to(device)
    mixture_stft = _complex_noise(*spectrum).to(device)[:, 0]
    return rivals.tried(Work(model, lambda: model(mixture_stft)))


def _lstm(n_frames: int, hidden: int) -> Contest:
    """Quasi-complex LSTM beside real ones of equal multiply-adds: twice the features in and out."""
    shape = f"LSTM, {hidden} complex features, {SEQUENCES}x{n_frames}"
    return Contest(
        shape,
        (
            Case("ours", _over_frames(lambda: QuasiComplexRecurrence(hidden, hidden), hidden, n_frames)),
            Case(
                "real twin, 2C",
                _over_frames(lambda: RealRecurrence(2 * hidden, 2 * hidden), hidden, n_frames),
            ),
            Case("nn.LSTM, 2C", _of_torch(lambda: nn.LSTM(2 * hidden, 2 * hidden), hidden, n_frames)),
            Case("asteroid", functools.partial(_asteroid_lstm, hidden, n_frames)),
        ),
    )


def _linear(n_frames: int, hidden: int) -> Contest:
    """Linear recurrences beside torch's GRU of as many real features; input projections included."""
    shape = f"linear recurrences, {hidden} complex features, {SEQUENCES}x{n_frames}"
    double = 2 * hidden
    return Contest(
        shape,
        (
            Case(
                "ours, gated", _over_frames(lambda: GatedLinearRecurrence(hidden, hidden), hidden, n_frames)
            ),
            Case("ours, LRU", _over_frames(lambda: LinearRecurrence(hidden, hidden), hidden, n_frames)),
            Case(
                "real gated, 2C",
                _over_frames(lambda: RealGatedLinearRecurrence(double, double), hidden, n_frames),
            ),
            Case("nn.GRU, 2C", _of_torch(lambda: nn.GRU(double, double), hidden, n_frames)),
        ),
    )


def _over_frames(make: Callable[[], nn.Module], features: int, n_frames: int) -> Make:
    """Run a layer on planes (sequence, plane, frame), as it stands in a network."""

    def work(device: torch.device) -> Work:
        layer = make().to(device)
        planes = torch.randn(SEQUENCES, 2 * features, n_frames, generator=torch.Generator().manual_seed(0))
        planes = planes.to(device).requires_grad_()
        return Work(layer, lambda: layer(planes)[0], (planes,))

    return work


def _of_torch(make: Callable[[], nn.Module], features: int, n_frames: int) -> Make:
    """Run a recurrence on (frame, sequence, feature), the layout that it likes."""

    def work(device: torch.device) -> Work:
        layer = make().to(device)
        inputs = torch.randn(n_frames, SEQUENCES, 2 * features, generator=torch.Generator().manual_seed(0))
        inputs = inputs.to(device).requires_grad_()
        return Work(layer, lambda: layer(inputs)[0], (inputs,))

    return work


def _asteroid_lstm(hidden: int, n_frames: int, device: torch.device) -> Work:
    layer = rivals.layer_of("asteroid.complex_nn", "ComplexSingleRNN")("LSTM", hidden, hidden).to(device)
    inputs = _complex_noise(SEQUENCES, n_frames, hidden).to(device).requires_grad_()
    return rivals.tried(Work(layer, lambda: layer(inputs), (inputs,)))
