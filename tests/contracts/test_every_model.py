"""The contract of every conf/model/*.yaml, in every arithmetic that it takes and every size that its topology
declares: found, not listed.

Models run at a narrow width for speed, and at full size on the `meta` device for shapes and counts. Of those that
are large even so, sizes and arithmetics other than the yaml's own are in the slow set.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, is_complex
from torch.utils._pytree import tree_leaves

from audiocx.errors import ConfigError
from audiocx.models.arithmetic import ARITHMETICS
from audiocx.models.build import packages
from audiocx.models.conditions import Conditions
from audiocx.models.counting import count_macs_per_second, count_parameters
from audiocx.models.model import MaskingModel
from audiocx.models.separator import Separator
from audiocx.models.words import import_path

CONF = Path(__file__).resolve().parents[2] / "conf"
STFTS: dict[str, dict[str, Any]] = {}
NARROW = 6  # widths are divided by this
LARGE = ("dccrn", "dcunet")


def configs() -> dict[str, dict[str, Any]]:
    """Every yaml, composed as training composes it, and every one in every other arithmetic and size."""
    found = {}
    defaults = inspect.signature(MaskingModel).parameters
    for path in sorted((CONF / "model").glob("*.yaml")):
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            composed = OmegaConf.to_container(
                compose("train", overrides=[f"model={path.stem}"]), resolve=False
            )
        words = {word: defaults[word].default for word in ("arithmetic", "features", "head")}
        config = {**words, **composed["model"]}
        STFTS[path.stem] = composed["stft"]
        found[path.stem] = config
        for arithmetic in ARITHMETICS:
            if arithmetic != config["arithmetic"]:
                found[f"{path.stem}-{arithmetic}"] = {**config, "arithmetic": arithmetic}
                STFTS[f"{path.stem}-{arithmetic}"] = composed["stft"]
        topology = import_path(config["network"]["_target_"], where="test")
        for size in getattr(topology, "sizes", ()):
            name = "-".join([path.stem, *(f"{key}={value}" for key, value in size.items())])
            found[name] = {**config, "network": config["network"] | size}
            STFTS[name] = composed["stft"]
    return found


def fits(config: dict[str, Any]) -> bool:
    """Whether features and head have the pairs that the arithmetic needs."""
    pairs = config["features"] != "magnitude" and config["head"] != "magnitude_mask"
    return pairs or not ARITHMETICS[config["arithmetic"]].paired


def narrowed(network: dict[str, Any]) -> dict[str, Any]:
    """A network with narrow widths, where its topology says what its widths are."""
    topology = import_path(network["_target_"], where="test")
    found = dict(network)
    for key in getattr(topology, "width_keys", ()):
        written = network.get(key)
        if written is None:
            written = topology.default_widths(network)[key]
        if isinstance(written, list):
            found[key] = [max(2, width // NARROW) for width in written]
        else:
            found[key] = max(2, written // NARROW)
    return found


def separator(
    config: dict[str, Any], *, narrow: bool = True, n_sources: int = 1, n_fft: int | None = None
) -> Separator:
    """Build one; a small `n_fft` gives it few frequencies, with whole frames that overlap by three quarters."""
    config = copy.deepcopy(config)
    if narrow:
        config["network"] = narrowed(config["network"])
    stft = next(
        STFTS[name]
        for name, known in ALL.items()
        if known["network"]["_target_"] == config["network"]["_target_"]
    )
    if n_fft is not None:
        stft = {**stft, "n_fft": n_fft, "win_length": n_fft, "hop_length": n_fft // 4}
    return Separator.from_config({"task": "enhance", "n_sources": n_sources, "stft": stft, "model": config})


def is_large(name: str) -> bool:
    """Whether a config is one of a large topology, and not the yaml's own."""
    yaml_name, _, variant = name.partition("-")
    return yaml_name in LARGE and variant != ""


ALL = configs()
FITTING = {name: config for name, config in ALL.items() if fits(config)}


def models(slow: Callable[[str], bool]) -> pytest.MarkDecorator:
    """Every config, those in the slow set whose name is."""
    return pytest.mark.parametrize(
        "config",
        [
            pytest.param(config, id=name, marks=[pytest.mark.slow] if slow(name) else [])
            for name, config in FITTING.items()
        ],
    )


every_model = models(is_large)


def takes_long_to_lower(name: str) -> bool:
    """Compiling and exporting goes over a yaml's own form, and over complex ones' real twins; the rest is slow."""
    yaml_name, _, variant = name.partition("-")
    twin = variant == "real" and yaml_name.startswith("complex")
    return is_large(name) or yaml_name == "dcunet" or not (variant == "" or twin)


every_lowered_model = models(takes_long_to_lower)


def spectrum(model: Any, batch: int, channel: int, frame: int, generator: torch.Generator) -> Tensor:
    shape = (batch, channel, model.n_frequencies, frame)
    return torch.randn(*shape, dtype=torch.complex64, generator=generator)


def test_there_are_models():
    assert {"complex_unet", "magnitude_unet", "split_unet", "dual_unet"} <= set(FITTING)
    assert all(ALL[name]["arithmetic"] == name.split("_")[0] for name in ("complex_unet", "dual_unet"))


@pytest.mark.parametrize("config", [c for n, c in ALL.items() if n not in FITTING])
def test_what_does_not_fit_says_so(config):
    with pytest.raises(ConfigError, match="no imaginary part"):
        separator(config)


@every_model
@pytest.mark.parametrize(("batch", "channel", "frame"), [(1, 1, 1), (3, 1, 7), (2, 3, 10), (1, 2, 33)])
def test_shapes(config, batch, channel, frame, generator):
    model = separator(config).model.eval()
    mixture = spectrum(model, batch, channel, frame, generator)
    mask = model(mixture)
    estimate = model.apply_mask(mixture, mask)
    assert mask.shape[:2] == (batch, 1)
    assert estimate.shape == (batch, 1, channel, model.n_frequencies, frame)
    assert mask.dtype == estimate.dtype == torch.complex64
    assert torch.isfinite(torch.view_as_real(estimate)).all()


@every_model
def test_several_sources(config, generator):
    model = separator(config, n_sources=3).model.eval()
    mixture = spectrum(model, 2, 1, 9, generator)
    assert model.apply_mask(mixture, model(mixture)).shape == (2, 3, 1, model.n_frequencies, 9)


@every_model
def test_items_do_not_see_each_other(config, generator):
    model = separator(config).model.eval()
    mixture = spectrum(model, 3, 2, 9, generator) * torch.tensor([1.0, 0.01, 30.0]).view(3, 1, 1, 1)
    together = model(mixture)
    alone = torch.cat([model(item[None]) for item in mixture])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)
    by_channel = torch.cat([model(mixture[:, c : c + 1]) for c in range(2)], 2)
    torch.testing.assert_close(together, by_channel, rtol=1e-3, atol=1e-4)


@every_model
@pytest.mark.parametrize("kind", ["silence", "square", "tiny"])
def test_finite_values_and_gradients_on_hard_input(config, kind):
    system = separator(config).train()
    n_samples = 4000
    square = torch.sign(torch.sin(torch.arange(n_samples) * 0.1)) * 1.0
    waveform = {"silence": torch.zeros(n_samples), "square": square, "tiny": square * 1e-30}[kind]
    estimate = system(waveform.view(1, 1, -1))
    estimate.square().sum().backward()
    assert torch.isfinite(estimate).all()
    for name, parameter in system.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_model
def test_every_parameter_has_a_gradient(config, noise):
    system = separator(config).train()
    waveform = noise(2, 1, 8000)
    (system(waveform)[:, 0] - 0.3 * waveform).square().mean().backward()
    for name, parameter in system.named_parameters():
        assert float(parameter.grad.abs().max()) > 0, name


@every_model
@pytest.mark.parametrize("gain", [1e-3, 1.0, 50.0])
def test_the_estimate_follows_the_level(config, gain, noise):
    system = separator(config).eval()
    waveform = noise(1, 1, 6000)
    torch.testing.assert_close(system(gain * waveform), gain * system(waveform), rtol=1e-3, atol=1e-4 * gain)


@every_model
def test_a_level_handed_in_is_taken(config, generator):
    model = separator(config).model.eval()
    mixture = spectrum(model, 1, 1, 12, generator)
    level, _ = model.features.measure_level(mixture, Conditions())
    torch.testing.assert_close(model(mixture, Conditions(level=level)), model(mixture))
    other = model(mixture, Conditions(level=10 * level))
    assert not torch.allclose(other, model(mixture), atol=1e-3)


@every_model
@pytest.mark.parametrize("head", [None, "complex_map"])
def test_global_phase_is_as_declared(config, head, generator):
    """e^{jθ} on the input turns the estimate by θ where the model promises it, and is seen not to otherwise."""
    changed = copy.deepcopy(config)
    if head is not None:
        if config["features"] == "magnitude":
            pytest.skip("a magnitude network has no complex output")
        changed["head"] = head
        changed["features"] = config["features"].removesuffix("_and_modulus")
        equivariant = {"bias": False, "activation": "mod_relu", "norm": "rms"}
        takes = inspect.signature(import_path(config["network"]["_target_"], where="test")).parameters
        if not set(equivariant) <= set(takes):
            pytest.skip("this topology has no equivariant form")
        if "recurrence" in takes:
            equivariant["recurrence"] = "modulus_gated_linear"
        changed["network"] |= equivariant
    model = separator(changed).model.eval()
    # Away from the initial identity, so that what should not turn does not by accident.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    mixture = spectrum(model, 1, 1, 9, generator)
    turn = torch.polar(torch.tensor(1.0), torch.tensor(0.8))

    def estimate(stft: Tensor) -> Tensor:
        return model.apply_mask(stft, model(stft))

    error = float((estimate(mixture * turn) - turn * estimate(mixture)).detach().abs().max())
    scale = float(estimate(mixture).detach().abs().max())
    promised = model.phase_equivariant or config["features"] == "magnitude"
    assert (error < 1e-4 * scale) is promised
    if head is not None:
        assert model.phase_equivariant is (config["arithmetic"] == "complex")


@every_model
def test_causality_is_as_declared(config, generator):
    """A causal model's mask knows no later frame, and its pieces with state equal the whole; others say so."""
    model = separator(config).model.eval()
    mixture = spectrum(model, 1, 2, 12, generator)
    later = mixture.clone()
    later[..., 7:] *= 3.0
    unchanged = torch.allclose(model(later)[..., :7], model(mixture)[..., :7], rtol=1e-4, atol=1e-5)
    assert unchanged is model.causal
    if not model.causal:
        with pytest.raises(ConfigError, match="stream"):
            model.step(mixture)
        return
    torch.testing.assert_close(in_pieces(model, mixture), model(mixture), rtol=1e-4, atol=1e-5)


@every_model
def test_a_causal_form_goes_through_a_stream(config, generator):
    """Where a topology takes `causal`, also of those yaml files that do not ask for it."""
    config = copy.deepcopy(config)
    network = config["network"]
    if "causal" not in inspect.signature(import_path(network["_target_"], where="test")).parameters:
        pytest.skip("this topology has no causal form")
    config["level"], network["causal"] = "running", True
    if isinstance(network.get("strides", [1])[0], list):
        network["strides"] = [[stride, 1] for stride, _ in network["strides"]]
    model = separator(config).model.eval()
    assert model.causal
    mixture = spectrum(model, 1, 2, 12, generator)
    later = mixture.clone()
    later[..., 7:] *= 3.0
    torch.testing.assert_close(model(later)[..., :7], model(mixture)[..., :7], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(in_pieces(model, mixture), model(mixture), rtol=1e-4, atol=1e-5)


def in_pieces(model: Any, mixture: Tensor) -> Tensor:
    """The mask of a stream of 12 frames."""
    masks, state = [], None
    for piece in mixture.split([1, 4, 1, 6], -1):
        mask, state = model.step(piece, Conditions(state=state))
        masks.append(mask)
    return torch.cat(masks, -1)


@every_model
def test_evaluation_is_deterministic_and_leaves_its_input(config, generator):
    model = separator(config).model.eval()
    mixture = spectrum(model, 1, 1, 9, generator)
    before = mixture.clone()
    assert torch.equal(model(mixture), model(mixture))
    assert torch.equal(mixture, before)


@every_model
def test_training_varies_the_level(config, generator):
    model = separator(config).model.train()
    mixture = spectrum(model, 1, 1, 9, generator)
    assert not torch.equal(model(mixture), model(mixture))


@every_model
def test_state_dict_round_trip(config, generator):
    first, second = separator(config).model.eval(), separator(config).model.eval()
    mixture = spectrum(first, 1, 1, 9, generator)
    assert not torch.equal(first(mixture), second(mixture))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(mixture), second(mixture))


@every_model
def test_no_complex_tensor_inside_the_network(config, generator):
    model = separator(config).model.eval()
    seen = []
    for module in model.network.modules():
        # A layer without a state gives None for it.
        module.register_forward_hook(
            lambda m, inputs, output: seen.extend(
                is_complex(leaf) for leaf in tree_leaves(output) if leaf is not None
            )
        )
    model(spectrum(model, 1, 1, 9, generator))
    assert seen
    assert not any(seen)
    assert not any(parameter.is_complex() for parameter in model.parameters())


@every_model
def test_autocast_step(config, noise):
    system = separator(config).train()
    waveform = noise(2, 1, 6000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimate = system(waveform)
    assert estimate.dtype == torch.float32
    estimate.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in system.parameters())


@every_model
def test_bfloat16_stays_close(config, noise):
    system = separator(config).eval()
    waveform = noise(1, 1, 6000)
    with torch.no_grad():
        exact = system(waveform)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = system(waveform)
    # Eight bits of mantissa through ten layers.
    assert float((rough - exact).norm() / exact.norm()) < 0.05


@every_lowered_model
def test_compiles_without_a_graph_break(config, generator):
    model = separator(config).model.eval()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    mixture = spectrum(model, 1, 1, 9, generator)
    with torch._dynamo.config.patch(allow_rnn=True):  # without it torch refuses nn.LSTM and nn.GRU
        outputs = compiled(mixture)
    torch.testing.assert_close(outputs, model(mixture), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # of torch's recurrences
@every_lowered_model
def test_the_network_exports(config, generator):
    """The planar network exports as it stands; the complex edges belong to the Separator."""
    # Export unrolls the loops of recurrent networks: every band and frame costs time here.
    model = separator(config, n_fft=64).model.eval()
    planes = torch.randn(1, model.features.n_planes, 33, 3, generator=generator)
    exported = torch.export.export(model.network, (planes,), strict=False)
    torch.testing.assert_close(exported.module()(planes), model.network(planes), rtol=1e-5, atol=1e-6)
    # ONNX, and whoever loads it without audiocx, knows no operators of ours.
    calls = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert calls
    assert not [call for call in calls if "audiocx" in call]


@every_model
def test_portable_folder(config, noise, tmp_path):
    import audiocx

    system = separator(config).eval()
    system.save(tmp_path / "model")
    again = audiocx.load(tmp_path / "model", trust=packages(system.config["model"]))
    waveform = noise(1, 1, 3000)
    assert torch.equal(again(waveform), system(waveform))
    assert not again.training
    assert again.config == system.config


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_model
def test_cuda_gives_what_the_processor_gives(config, noise):
    system = separator(config).eval()
    waveform = noise(2, 1, 6000)
    with torch.no_grad():
        here = system(waveform)
        there = system.to("cuda")(waveform.to("cuda"))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        estimate = system.train()(waveform.to("cuda"))
    estimate.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in system.parameters())


def test_full_sizes():
    """Parameters and multiply-adds of the four U-Nets, as their yaml files stand."""
    systems = {name: separator(ALL[name], narrow=False) for name in ALL if "-" not in name}
    parameters = {name: count_parameters(system) for name, system in systems.items()}
    macs = {name: count_macs_per_second(system) for name, system in systems.items()}
    assert 0.3e6 < parameters["complex_unet"] < 0.5e6
    assert 0.2e9 < macs["complex_unet"] < 0.4e9
    # A real twin has 2C features: twice the parameters, the same multiply-adds; separate kernels have half.
    assert parameters["split_unet"] == pytest.approx(2 * parameters["complex_unet"], rel=0.01)
    assert macs["split_unet"] == macs["complex_unet"]
    assert parameters["dual_unet"] == pytest.approx(parameters["complex_unet"], rel=0.01)
    assert macs["dual_unet"] == pytest.approx(macs["complex_unet"] / 2, rel=0.01)


def test_twins_start_with_the_same_response():
    """Before training, the power that leaves every convolution agrees between twins, a pair counted as one."""
    powers: dict[str, list[float]] = {}
    for name in ("complex_unet", "split_unet", "dual_unet"):
        torch.manual_seed(3)
        model = separator(ALL[name], narrow=False).model.eval()
        powers[name] = []
        for block in list(model.network.encoders)[1:]:
            block.convolution.register_forward_hook(
                lambda m, i, output, name=name: powers[name].append(float(output.detach().square().mean()))
            )
        model(spectrum(model, 2, 1, 24, torch.Generator().manual_seed(5)))
    # The complex norm gives E|z|² = 1 to a pair, its twins E x² = 1 to each plane.
    powers["complex_unet"] = [2 * power for power in powers["complex_unet"]]
    for first, second in itertools.combinations(powers.values(), 2):
        for one, other in zip(first, second, strict=True):
            assert 1 / 1.6 < one / other < 1.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["complex_unet", "split_unet", "complex_dualpath"])
def test_inductor_gives_the_same(name, generator):
    model = separator(ALL[name]).model.eval()
    mixture = spectrum(model, 1, 1, 9, generator)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(mixture), model(mixture), rtol=1e-3, atol=1e-4)
