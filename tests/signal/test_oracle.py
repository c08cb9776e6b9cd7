"""Oracle masks: known values, bounds, and their order on a mixture."""

from __future__ import annotations

import pytest
import torch

from audiocx.errors import ShapeError
from audiocx.metrics.waveform import si_sdr_db
from audiocx.signal.oracle import ideal_complex_mask, ideal_ratio_mask, phase_sensitive_mask
from audiocx.signal.stft import STFT


def _spectra() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target, noise = torch.randn(2, 9, 11, generator=generator, dtype=torch.complex128)
    return target, target + noise


def test_known_values() -> None:
    target = torch.tensor([[3 + 0j, 1j, -2 + 0j, 0j, 1 + 0j]])
    mixture = torch.tensor([[3 + 4j, 2j, 1 + 0j, 0j, 0j]])
    ratio = ideal_ratio_mask(target, mixture)
    torch.testing.assert_close(ratio, torch.tensor([[0.6, 0.5**0.5, (4 / 13) ** 0.5, 0.0, 0.5**0.5]]))
    # Re(S / X) is 9/25, 1/2 and -2; the last is cut at 0, and an empty mixture gets 0.
    torch.testing.assert_close(
        phase_sensitive_mask(target, mixture), torch.tensor([[0.36, 0.5, 0.0, 0.0, 0.0]])
    )
    complex_mask = ideal_complex_mask(target, mixture)
    torch.testing.assert_close(complex_mask, torch.tensor([[(9 - 12j) / 25, 0.5 + 0j, -1 + 0j, 0j, 0j]]))


def test_bounds() -> None:
    target, mixture = _spectra()
    for mask in (ideal_ratio_mask(target, mixture), phase_sensitive_mask(target, mixture)):
        assert float(mask.min()) >= 0.0
        assert float(mask.max()) <= 1.0
    assert float(ideal_complex_mask(target, mixture).abs().max()) <= 1.0 + 1e-12
    torch.testing.assert_close(ideal_complex_mask(target, mixture, bound=None) * mixture, target)


def test_the_phase_sensitive_mask_is_the_best_real_one() -> None:
    target, mixture = _spectra()
    best = phase_sensitive_mask(target, mixture)
    error = (best * mixture - target).abs().square()
    for other in (0.0, 0.3, 0.7, 1.0):
        assert bool((error <= (other * mixture - target).abs().square() + 1e-12).all())


def test_order_on_a_waveform() -> None:
    stft = STFT()
    generator = torch.Generator().manual_seed(1)
    envelope = torch.sin(torch.arange(16000) / 500.0).clamp_min(0.01)
    target = torch.randn(16000, generator=generator) * envelope
    mixture = target + 0.5 * torch.randn(16000, generator=generator)
    target_stft, mixture_stft = stft(target), stft(mixture)
    scores = [si_sdr_db(mixture, target)]
    for oracle in (ideal_ratio_mask, phase_sensitive_mask, ideal_complex_mask):
        estimate = stft.inverse(oracle(target_stft, mixture_stft) * mixture_stft, 16000)
        scores.append(si_sdr_db(estimate, target))
    assert [float(score) for score in scores] == sorted(float(score) for score in scores)


@pytest.mark.parametrize("oracle", [ideal_ratio_mask, phase_sensitive_mask, ideal_complex_mask])
def test_errors(oracle) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match="does not fit"):
        oracle(torch.zeros(3, 4) + 0j, torch.zeros(3, 5) + 0j)
    with pytest.raises(ShapeError, match="real"):
        oracle(torch.zeros(3, 4), torch.zeros(3, 4))
