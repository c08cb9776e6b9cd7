"""What is said of a model: reaches that are known by hand, and totals that are the sums of the layers."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from audiocx.inference.stream import Stream
from audiocx.models.counting import count_macs_per_second, count_parameters
from audiocx.models.describe import Description, describe_model, is_norm, layers_of
from audiocx.models.model import MaskingModel, SpectralModel
from audiocx.models.reach import FURTHEST, Reach, measure_reach
from audiocx.models.separator import Separator
from audiocx.models.unet import UNet
from audiocx.models.words import WORDS
from audiocx.signal.stft import STFT

CONF = Path(__file__).resolve().parents[2] / "conf"
YAML = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def unet(**changes: Any) -> Separator:
    network = {
        "_target_": "audiocx.models.unet.UNet",
        "_partial_": True,
        "widths": [4, 6],
        "kernel_sizes": [[5, 3], [5, 5]],
        "strides": [[2, 1], [2, 1]],
        **changes,
    }
    model = {"_target_": "audiocx.models.model.MaskingModel", "level": "running", "network": network}
    torch.manual_seed(1)
    return Separator.from_config({"task": "enhance", "n_sources": 1, "stft": {}, "model": model})


class Shifting(SpectralModel):
    """A user's own model, which no config can build again: mask(t) from frames t - past and t + ahead."""

    def __init__(self, past: int, ahead: int) -> None:
        super().__init__()
        self.past, self.ahead = past, ahead
        self.weight = nn.Parameter(torch.ones(257))

    def forward(self, mixture_stft: Tensor, conditions: Any = None) -> Tensor:
        frames = nn.functional.pad(mixture_stft.real * self.weight.view(-1, 1), (self.past, self.ahead))
        n_frames = mixture_stft.shape[-1]
        seen = frames[..., :n_frames] + frames[..., self.past + self.ahead :]
        return torch.complex(seen, torch.zeros_like(seen)).unsqueeze(1)

    def apply_mask(self, mixture_stft: Tensor, mask: Tensor) -> Tensor:
        return mixture_stft.unsqueeze(1) * mask


class Window(Shifting):
    """Its mask is a mean over frames t - past to t + ahead."""

    def forward(self, mixture_stft: Tensor, conditions: Any = None) -> Tensor:
        frames = nn.functional.pad(mixture_stft.real * self.weight.view(-1, 1), (self.past, self.ahead))
        mean = nn.functional.avg_pool1d(frames.squeeze(1), self.past + 1 + self.ahead, 1)
        return torch.complex(mean, mean).unsqueeze(1).unsqueeze(1)


class OverFrames(Shifting):
    """Its mask knows the mean power of all frames."""

    def forward(self, mixture_stft: Tensor, conditions: Any = None) -> Tensor:
        mean = mixture_stft.abs().square().mean((-2, -1), keepdim=True)
        return super().forward(mixture_stft, conditions) / mean.unsqueeze(1)


def own(model: SpectralModel) -> Separator:
    return Separator(STFT(), model, {"task": "enhance", "n_sources": 1, "model": {}})


@pytest.mark.parametrize(
    ("separator", "reach"),
    [
        # Every kernel of n frames sees (n - 1) / 2 to either side, in an encoder and in its decoder.
        (unet(), Reach(6, 6, 13)),
        (unet(kernel_sizes=[[5, 1], [5, 1]]), Reach(0, 0, 1)),
        # A causal one n - 1 before.
        (unet(causal=True, kernel_sizes=[[5, 3], [5, 2]]), Reach(6, 0, 7)),
        # By 2 down: frame j sees 2j - 1 .. 2j + 1. Up again: odd ones are made of both neighbours, even of one.
        (unet(widths=[3], kernel_sizes=[[5, 3]], strides=[[2, 2]]), Reach(2, 2, 5)),
        # Three times, j sees 8j - 7 .. 8j + 7; frame 7 is made of 3 and 4, 3 of 1 and 2, 1 of 0 and 1: -7 .. 15.
        (unet(widths=[3] * 3, kernel_sizes=[[5, 3]] * 3, strides=[[2, 2]] * 3), Reach(14, 14, 23)),
        (own(Shifting(3, 40)), Reach(3, 40, 44, FURTHEST // 4)),
        (own(Shifting(200, 0)), Reach(200, 0, 201, FURTHEST // 4)),
        (own(Window(FURTHEST // 4 + 1, 2)), Reach(math.inf, 2, math.inf, FURTHEST // 4)),
        (own(OverFrames(0, 0)), Reach(math.inf, math.inf, math.inf, FURTHEST // 4)),
    ],
)
def test_reaches_known_by_hand(separator, reach):
    assert measure_reach(separator) == reach


SLOW = set(WORDS["recurrence"]) - {"gated_linear"}


def slowly(*words: str) -> list[Any]:
    return [pytest.param(word, marks=pytest.mark.slow) for word in words]


def bottlenecks(slow: set[str]) -> list[Any]:
    words = [*WORDS["recurrence"], "attention"]
    return [pytest.param(word, marks=pytest.mark.slow if word in slow else ()) for word in words]


@pytest.mark.parametrize("bottleneck", bottlenecks({*SLOW, "attention"}))
def test_recurrences_and_attention_have_no_end(bottleneck):
    assert measure_reach(unet(bottleneck=bottleneck)) == Reach(*[math.inf] * 3)
    if bottleneck != "attention":
        assert measure_reach(unet(bottleneck=bottleneck, causal=True)) == Reach(math.inf, 0, math.inf)


@functools.cache
def described() -> Description:
    return describe_model(unet())


def test_seconds_and_milliseconds():
    """13 frames of 512 samples every 256 at 16 kHz; the last one ends six hops and a window after a sample."""
    found = described()
    assert found.receptive_field_seconds == pytest.approx((512 + 12 * 256) / 16000)
    assert found.latency_ms == pytest.approx((512 + 6 * 256) / 16)
    causal = unet(causal=True)
    assert describe_model(causal).latency_ms == pytest.approx(Stream(causal.eval()).latency_samples / 16)


def test_the_level_of_an_utterance_is_taken_as_known():
    separator = unet()
    separator.model.features.level = "utterance"
    found = describe_model(separator)
    assert (found.utterance_level, found.causal, found.reach.ahead) == (True, False, 6)
    assert any(line.startswith("level: of the whole recording") for line in found.lines())


@pytest.mark.parametrize("arithmetic", ["complex", "dual", *slowly("real", "widely_linear")])
@pytest.mark.parametrize("bottleneck", [None, *bottlenecks(SLOW - {"lstm"})])
def test_totals_are_the_sums_of_the_layers(arithmetic, bottleneck):
    model = MaskingModel(
        functools.partial(
            UNet, widths=[4, 8], kernel_sizes=[[5, 3]] * 2, strides=[[4, 2]] * 2, bottleneck=bottleneck
        ),
        arithmetic=arithmetic,
    )
    layers, macs = layers_of(own(model))
    assert count_parameters(model) == sum(layer.parameters_real for layer in layers)
    assert macs == count_macs_per_second(own(model))
    assert sum(layer.macs_per_second for layer in layers) == pytest.approx(macs, abs=len(layers))
    assert "(between layers)" not in {layer.name for layer in layers}
    shapes = {layer.name: layer.shape for layer in layers}
    assert shapes["network.encoders.1.convolution"] == (16, 17, 125)
    assert shapes["network.decoders.0.convolution"] == (2, 257, 500)


def test_parameters_outside_norms():
    separator, found = unet(), described()
    norms = [p.numel() for name, p in separator.named_parameters() if ".norm." in name]
    assert sum(norms) == 4 + 6 + 4
    assert found.parameters_without_norms == found.parameters_real - sum(norms)
    assert found.parameters_real == count_parameters(separator)


def test_what_is_done_between_layers_is_a_row():
    class Between(Shifting):
        def forward(self, mixture_stft: Tensor, conditions: Any = None) -> Tensor:
            mixed = torch.diag(self.weight).to(mixture_stft.real.dtype) @ mixture_stft.real
            return torch.complex(mixed, mixed).unsqueeze(1)

    found = describe_model(own(Between(0, 0)))
    assert [layer.name for layer in found.layers] == ["(between layers)"]
    assert found.layers[0].macs_per_second == found.macs_per_second == round(257 * 257 * 500 / 8)


def test_norms_are_known_by_their_names():
    norms = [layer(4) for pair in WORDS["norm"].values() for layer in pair]
    assert all(is_norm(norm) or isinstance(norm, nn.Identity) for norm in norms)
    assert not any(is_norm(layer) for layer in (nn.PReLU(), nn.Conv2d(1, 1, 1), nn.Linear(1, 1)))


def test_nothing_is_drawn_and_nothing_changes():
    separator = unet()
    before, weights = torch.get_rng_state(), copy.deepcopy(separator.state_dict())
    describe_model(separator)
    assert torch.equal(torch.get_rng_state(), before)
    assert separator.training
    assert all(torch.equal(value, weights[name]) for name, value in separator.state_dict().items())


def test_the_last_line_is_for_programs():
    found = dataclasses.replace(described(), receptive_field_seconds=math.inf)
    words = dict(pair.split("=") for pair in found.last_line().split(" "))
    assert list(words) == [
        "parameters_real",
        "parameters_without_norms",
        "macs_per_second",
        "receptive_field_seconds",
        "latency_ms",
    ]
    assert float(words["receptive_field_seconds"]) == math.inf
    assert int(words["parameters_real"]) > int(words["parameters_without_norms"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", YAML)
def test_every_yaml(name):
    """No causal model sees ahead, and every other one does."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        composed: Any = OmegaConf.to_container(compose("train", overrides=[f"model={name}"]), resolve=True)
    config = {"task": "enhance", "n_sources": 1, "stft": composed["stft"], "model": composed["model"]}
    found = describe_model(Separator.from_config(config))
    assert found.parameters_real > found.parameters_without_norms > 1000
    causal = found.reach.ahead == 0
    network = config["model"]["network"]
    assert causal is bool(network.get("causal", False))
    assert causal == (found.latency_ms == 1000 * config["stft"]["win_length"] / config["stft"]["sample_rate"])
