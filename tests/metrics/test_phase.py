"""Phase error: Appendix vector, limits and invariances."""

from __future__ import annotations

import math

import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.metrics.phase import (
    group_delay_error_rad,
    phase_error_rad,
    weighted_group_delay_error_rad,
    weighted_phase_error_rad,
)
from audiocx.signal.stft import STFT


def _noise(seed: int, n: int = 16000) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_appendix_vector() -> None:
    target = torch.tensor([[1 + 1j], [2 - 1j], [-0.5j]], dtype=torch.complex128)
    estimate = torch.tensor([[0.8 + 1.2j], [2.1 - 0.7j], [0.1 - 0.4j]], dtype=torch.complex128)
    assert float(weighted_phase_error_rad(estimate, target)) == pytest.approx(0.173227, abs=1e-6)
    steps = weighted_group_delay_error_rad(estimate, target, weighted=False)
    assert float(steps) == pytest.approx(0.079290, abs=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.5, 3.0, -3.0, 3.5])
def test_a_common_rotation_is_its_wrapped_angle(angle: float) -> None:
    target = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.complex128)
    rotated = target * torch.exp(torch.tensor(1j * angle, dtype=torch.complex128))
    wrapped = abs((angle + math.pi) % (2 * math.pi) - math.pi)
    assert float(weighted_phase_error_rad(rotated, target)) == pytest.approx(wrapped, abs=1e-9)


def test_loud_bins_count_more() -> None:
    target = torch.tensor([[10.0 + 0j, 1.0 + 0j]])
    wrong_loud = torch.tensor([[-10.0 + 0j, 1.0 + 0j]])
    wrong_quiet = torch.tensor([[10.0 + 0j, -1.0 + 0j]])
    assert float(weighted_phase_error_rad(wrong_loud, target)) == pytest.approx(math.pi * 10 / 11)
    assert float(weighted_phase_error_rad(wrong_quiet, target)) == pytest.approx(math.pi * 1 / 11)


def test_waveforms() -> None:
    stft = STFT()
    target = _noise(0)
    assert float(phase_error_rad(0.3 * target, target, stft=stft)) == pytest.approx(0.0, abs=1e-9)
    assert float(phase_error_rad(-target, target, stft=stft)) == pytest.approx(math.pi, abs=1e-9)
    assert float(phase_error_rad(_noise(1), target, stft=stft)) == pytest.approx(math.pi / 2, abs=0.05)
    assert math.isnan(float(phase_error_rad(target, 0 * target, stft=stft)))
    assert phase_error_rad(torch.stack([target, -target]), torch.stack([target] * 2), stft=stft).shape == (2,)


def test_group_delay_of_a_delay_is_its_slope() -> None:
    """A circular delay by d turns every step by -2 pi d / n_fft; half a turn and more wraps."""
    frame = _noise(3, 512)
    target = torch.fft.rfft(frame).unsqueeze(-1)
    for delay, expected in ((1, 1), (10, 10), (-10, 10), (256, 256), (300, 212)):
        estimate = torch.fft.rfft(frame.roll(delay)).unsqueeze(-1)
        error = float(weighted_group_delay_error_rad(estimate, target))
        assert error == pytest.approx(2 * math.pi * expected / 512, abs=1e-6)


def test_group_delay_does_not_know_a_rotation_of_each_frame() -> None:
    target = torch.randn(9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.complex128)
    turned = 0.1 * target * torch.exp(1j * torch.linspace(-9, 9, 7, dtype=torch.complex128))
    assert float(weighted_group_delay_error_rad(turned, target)) == pytest.approx(0.0, abs=1e-9)
    assert float(weighted_phase_error_rad(turned, target)) > 0.5


def test_group_delay_weighs_steps_by_both_magnitudes() -> None:
    target = torch.tensor([[4.0 + 0j], [4.0 + 0j], [1.0 + 0j]])
    estimate = torch.tensor(
        [[4.0 + 0j], [4.0j], [1.0j]]
    )  # the first step is wrong by pi / 2, the second right
    expected = math.pi / 2 * 4 / (4 + 2)
    assert float(weighted_group_delay_error_rad(estimate, target)) == pytest.approx(expected)


def test_group_delay_of_waveforms() -> None:
    stft = STFT()
    target = _noise(0)
    assert float(group_delay_error_rad(-0.3 * target, target, stft=stft)) == pytest.approx(0.0, abs=1e-9)
    # Neighbouring bins share a window, so even unrelated phases step alike to some degree.
    assert 1.2 < float(group_delay_error_rad(_noise(1), target, stft=stft)) < 1.5
    spectra = torch.randn(2, 200, 50, generator=torch.Generator().manual_seed(0), dtype=torch.complex128)
    assert float(weighted_group_delay_error_rad(*spectra)) == pytest.approx(math.pi / 2, abs=0.03)
    assert math.isnan(float(group_delay_error_rad(target, 0 * target, stft=stft)))
    assert float(group_delay_error_rad(1e-30 * target, 1e-30 * target, stft=stft)) == 0.0


@pytest.mark.parametrize("error", [phase_error_rad, group_delay_error_rad])
def test_silence_is_as_wrong_as_an_unrelated_phase(error) -> None:  # type: ignore[no-untyped-def]
    target = _noise(0)
    assert float(error(0 * target, target, stft=STFT())) == pytest.approx(math.pi / 2)


def test_errors() -> None:
    with pytest.raises(ShapeError, match="does not fit"):
        weighted_phase_error_rad(torch.zeros(3, 4) + 0j, torch.zeros(3, 5) + 0j)
    with pytest.raises(ShapeError, match="real"):
        weighted_phase_error_rad(torch.zeros(3, 4), torch.zeros(3, 4))
