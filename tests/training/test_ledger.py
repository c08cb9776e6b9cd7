"""What the ledger says of a model beside its counterpart."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiocx.models.separator import Separator
from audiocx.signal.stft import STFT
from audiocx.training.ledger import Ledger, initial_power, measure, measure_step

NETWORK = {
    "_target_": "audiocx.models.unet.UNet",
    "_partial_": True,
    "widths": [8, 12],
    "kernel_sizes": [[3, 3]] * 2,
    "strides": [[2, 2], [2, 1]],
}


def config(arithmetic: str = "complex", **network: Any) -> dict[str, Any]:
    model = {
        "_target_": "audiocx.models.model.MaskingModel",
        "arithmetic": arithmetic,
        "network": NETWORK | network,
    }
    return {"task": "enhance", "n_sources": 1, "stft": STFT().settings, "model": model}


def ledger(written: dict[str, Any], capacity: str | None = "parameters", batch_size: int = 2) -> Ledger:
    return measure(
        "mine",
        written,
        capacity,
        batch_size=batch_size,
        segment_seconds=0.25,
        device=torch.device("cpu"),
        precision=contextlib.nullcontext,
    )


class Gain(nn.Module):
    """A mask that is one number: it keeps the mixture, and the estimate for its square."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, mixture_stft: Tensor) -> Tensor:
        return mixture_stft * self.gain

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        return mixture_stft * mask


def test_bytes_that_a_step_keeps():
    n_numbers = 3 * 17 * 5
    kept, seconds = measure_step(Gain(), (3, 1, 17, 5), contextlib.nullcontext)
    assert kept == 2 * n_numbers * 8  # mixture and estimate, 8 bytes a number, each once
    assert seconds > 0


def test_a_model_beside_its_counterpart():
    real = ledger(config("real"))
    assert [cost.name for cost in real.costs] == ["mine", "its complex twin"]
    assert real.difference_percent == pytest.approx(
        100 * (real.costs[0].parameters_real / real.costs[1].parameters_real - 1)
    )
    paired = ledger(config("complex"))
    assert [cost.name for cost in paired.costs] == ["mine", "its split twin"]
    # The same two models, seen from either side.
    for key in ("parameters_real", "macs_per_second", "activation_bytes"):
        assert [getattr(cost, key) for cost in paired.costs] == [
            getattr(cost, key) for cost in reversed(real.costs)
        ]
    assert paired.difference_percent == real.difference_percent
    assert real.batch == (2, 1, 257, 17)
    assert all(cost.step_seconds > 0 for cost in real.costs)


def test_macs_and_widths_as_written():
    found = ledger(config("dual"), "macs")
    assert found.costs[0].macs_per_second == pytest.approx(found.costs[1].macs_per_second, rel=0.01)
    found = ledger(config("real"), None)
    assert found.difference_percent == pytest.approx(100, abs=5)
    assert found.note == ""


def test_activations_grow_with_the_batch():
    one, four = (ledger(config(), batch_size=size).costs[0].activation_bytes for size in (1, 4))
    assert 3.5 * one < four < 4 * one


@pytest.mark.parametrize(
    "network",
    [
        {"_target_": "audiocx.models.dcunet.DCUNet", "widths": [4, 8, 8, 8, 8]},
        {"_target_": "audiocx.models.dccrn.DCCRN", "widths": [4, 8, 8], "hidden": 8},
    ],
    ids=["dcunet", "dccrn"],
)
def test_networks_of_papers_are_measured(network):
    """Recurrences too: every number that a layer gives is kept once at least."""
    written = config()
    written["model"]["network"] = {**network, "_partial_": True}
    found = ledger(written)
    outputs: list[int] = []
    separator = Separator.from_config(written)
    for module in separator.model.network.modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda m, inputs, output: outputs.append(
                    output[0].numel() if isinstance(output, tuple) else output.numel()
                )
            )
    separator.model(torch.zeros(found.batch, dtype=torch.complex64))
    assert 4 * sum(outputs) < found.costs[0].activation_bytes < 4 * 4 * sum(outputs)
    assert found.costs[0].macs_per_second == pytest.approx(2 * found.costs[1].macs_per_second, rel=0.15)
    assert abs(found.difference_percent) < 2


def test_what_training_draws_stays_the_same():
    before = torch.get_rng_state()
    ledger(config("real"))
    assert torch.equal(torch.get_rng_state(), before)


def test_twins_start_alike_whatever_their_widths():
    powers = []
    for written in (
        config(widths=[40, 60]),
        config("real", widths=[28.5, 42.5]),
        config("dual", widths=[40, 60]),
    ):
        torch.manual_seed(1)
        powers.append(initial_power(Separator.from_config(written).model))
    # Three layers with the gain of ReLU, whose square is 2, and a last one without.
    assert powers == pytest.approx([(3 * 2 + 1) / 4] * 3, rel=0.05)


def test_the_default_weights_of_torch_would_be_seen():
    """Real ones have E w² n = 1/3; complex ones have it in each part, and so twice that."""
    torch.manual_seed(2)
    real = initial_power(nn.Conv2d(128, 128, 3))
    native = initial_power(nn.Conv2d(64, 64, 3, dtype=torch.complex64))
    assert real == pytest.approx(1 / 3, rel=0.02)
    assert native == pytest.approx(2 / 3, rel=0.02)
    assert initial_power(nn.ConvTranspose2d(64, 8, 4, stride=2)) == pytest.approx(
        # torch takes the outputs for the inputs there, and forgets the stride.
        (1 / 3) / (8 * 16) * (64 * 16 / 4),
        rel=0.05,
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_in_bfloat16():
    device = torch.device("cuda", 0)
    before = torch.cuda.get_rng_state(device)
    found = measure(
        "mine",
        config("real"),
        "parameters",
        batch_size=2,
        segment_seconds=0.25,
        device=device,
        precision=lambda: torch.autocast("cuda", dtype=torch.bfloat16),
    )
    assert all(cost.activation_bytes > 0 for cost in found.costs)
    assert torch.equal(torch.cuda.get_rng_state(device), before)


def test_a_table_of_plain_cells():
    title, columns, rows, note = ledger(config("real", widths=[4, 6])).table()
    assert "matched" in title
    assert "%" in title
    assert all(len(row) == len(columns) for row in rows)
    assert note == ""


def test_narrow_networks_say_that_they_miss():
    found = ledger(config("dual", widths=[2, 3]))
    assert abs(found.difference_percent) > 1
    assert "nearest" in found.note


def test_a_model_without_words_stands_alone():
    written = config() | {"model": {"_target_": f"{__name__}.Alone"}}
    found = ledger(written)
    assert [cost.name for cost in found.costs] == ["mine"]
    assert found.difference_percent is None
    assert "as written" in found.note


class Alone(Gain):
    def __init__(self, n_sources: int, n_frequencies: int) -> None:
        super().__init__()
