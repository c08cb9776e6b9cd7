"""Importing DCUNet and DCCRNet of asteroid (https://github.com/asteroid-team/asteroid), without asteroid.

    separator = from_asteroid("model.pth")      what torch.save(model.serialize(), "model.pth") has written
    separator.save("dcunet")                    a model folder, for audiocx.load and --checkpoint

The masks are asteroid's for the same frames of a waveform. Three things differ, and are taken into account:

- asteroid's filterbank gives our STFT times 2 sqrt(hop / (win n_fft)), which is 1/32 for DCUNet, times 1/√2 at 0 Hz
  and at the highest frequency, with phases that begin (n_fft - win) / 2 samples earlier. `FilterbankNetwork` does
  so; the first layer could take the factor, but not the rest.
- asteroid's DCCRNet does not pad frames (`pad_frames=false`), and leaves out the highest frequency
  (`dropped=nyquist`).
- asteroid's frames lie wholly inside the waveform. Our STFT has a few more at both ends; masks within reach of
  those differ, and of a recurrence all of them do, if by little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.torch_version import TorchVersion

from audiocx.errors import CheckpointError, describe, nearest
from audiocx.layers.planar import PlanarLayer, planes
from audiocx.models.arithmetic import Arithmetic
from audiocx.models.asteroid_weights import AsteroidWeights
from audiocx.models.separator import Separator

DEPTHS = {
    "DCUNet-10": (10, False),
    "DCUNet-16": (16, False),
    "DCUNet-20": (20, False),
    "Large-DCUNet-20": (20, True),
}
"""Arguments `depth` and `large` of our DCUNet by asteroid's architecture."""

BOUNDS = {"tanh": 1.0, "BDT": 1.0, None: None, "UBD": None}
"""Our `mask_bound` by asteroid's; its `sigmoid` bounds real and imaginary part and has no counterpart here."""

STFT_DEFAULTS = {"DCUNet": (1024, 1024, 256), "DCCRNet": (512, 400, 100)}
"""n_fft, window and hop of a model that does not say."""

STFT_ARGUMENTS = ("stft_n_filters", "stft_kernel_size", "stft_stride")
KNOWN_ARGUMENTS = {
    *STFT_ARGUMENTS,
    *("architecture", "sample_rate", "n_src", "mask_bound", "fix_length_mode", "n_freqs"),
}


class FilterbankNetwork(nn.Module):
    """A topology that sees a spectrum as asteroid's filterbank gives it.

    Args:
        arithmetic: `complex` or an `Arithmetic`.
        in_planes, out_planes: real feature maps in, of which there are two, and out.
        network: called with (arithmetic, in_planes, out_planes, n_frequencies=...), gives the topology.
        win_length, hop_length: of the STFT, in samples.
        n_frequencies: of the STFT.

    Shapes:
        (batch, 2, frequency, frame) -> (batch, out_planes, frequency, frame).
    """

    gain: Tensor

    def __init__(
        self,
        arithmetic: Arithmetic | str,
        in_planes: int,
        out_planes: int,
        *,
        network: Callable[..., nn.Module],
        win_length: int,
        hop_length: int,
        n_frequencies: int = 513,
    ) -> None:
        super().__init__()
        n_fft = 2 * (n_frequencies - 1)
        # In NumPy's way of counting: bin, then samples from the beginning of the transform to that of the window.
        angle = -2 * math.pi / n_fft * torch.arange(n_frequencies, dtype=torch.float64)
        angle = angle * ((n_fft - win_length) // 2)
        size = torch.full_like(angle, 2 * math.sqrt(hop_length / (win_length * n_fft)))
        size[[0, -1]] /= math.sqrt(2.0)
        gain = torch.stack((size * angle.cos(), size * angle.sin()))
        self.register_buffer("gain", gain.float(), persistent=False)
        self.network = network(arithmetic, in_planes, out_planes, n_frequencies=n_frequencies)

    def forward(self, inputs: Tensor) -> Tensor:
        """Turn the spectrum into asteroid's and apply the topology."""
        (real, imaginary), (gain_real, gain_imag) = planes(inputs), self.gain.to(inputs.dtype)[:, :, None]
        turned = (real * gain_real - imaginary * gain_imag, real * gain_imag + imaginary * gain_real)
        outputs: Tensor = self.network(torch.cat(turned, 1))
        return outputs


class BarelyLeakyCReLU(PlanarLayer):
    """Leaky ReLU of the real and of the imaginary part with torch's slope, 0.01. Not phase-equivariant.

    Args:
        features: complex features, which do not matter.

    Shapes:
        (batch, 2 * feature, ...) -> the same, or complex (batch, feature, ...).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        del features

    def transform(self, planar: Tensor) -> Tensor:
        """Rectify both parts."""
        return functional.leaky_relu(planar, 0.01)


def from_asteroid(source: str | Path | Mapping[str, Any]) -> Separator:
    """Make a Separator of a DCUNet or DCCRNet that asteroid has trained.

    Args:
        source: a file that `torch.save(model.serialize(), path)` has written (asteroid's form for sharing models),
            or what `serialize` gives: a mapping with `model_name` (`DCUNet` or `DCCRNet`), `model_args` (of a
            model at hand: `model.get_model_args()`) and `state_dict`.

    Returns:
        A Separator in evaluation mode, with the rate, STFT and sources of the model. `level` is `none`: as
        asteroid's, its estimate depends on the level of the recording.

    Raises:
        CheckpointError: the file is no model of asteroid, there is no importer for it, it has a setting that has no
            counterpart, or its weights do not fit.

    Example:
        >>> from_asteroid("model.pth").save("dcunet")  # doctest: +SKIP
    """
    where = f"checkpoint {source}" if isinstance(source, str | Path) else "asteroid's model"
    content = _read(source, where) if isinstance(source, str | Path) else source
    for key, kind in (("model_name", str), ("model_args", Mapping), ("state_dict", Mapping)):
        if not (isinstance(content, Mapping) and isinstance(content.get(key), kind)):
            raise CheckpointError(
                describe(f"{where}: no model of asteroid", expected="model_name, model_args and state_dict")
            )
    name, arguments = content["model_name"], content["model_args"]
    if name not in STFT_DEFAULTS:
        raise CheckpointError(describe(f"{where}: no importer for `{name}`", do=nearest(name, STFT_DEFAULTS)))
    weights = AsteroidWeights(content["state_dict"], where)
    try:
        separator = Separator.from_config(_config(name, arguments, weights, where))
    except (TypeError, ValueError) as error:  # ConfigError is one
        raise CheckpointError(describe(f"{where}: its model_args do not fit together", got=error)) from error
    ours = {f"network.network.{key}": value for key, value in weights.translated().items()}
    separator.load_weights(ours, where=where)
    return separator.eval()


def _read(path: str | Path, where: str) -> Any:
    if not Path(path).is_file():
        raise CheckpointError(
            describe(f"{where}: no such file", do="give what torch.save(model.serialize(), path) wrote")
        )
    try:
        # Beside the weights it holds the version of torch that wrote it, a string of a class of its own.
        with torch.serialization.safe_globals([TorchVersion]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint, unpickling raises almost anything
        raise CheckpointError(
            describe(f"{where}: cannot be read as a checkpoint", got=type(error).__name__)
        ) from error


def _config(name: str, arguments: Mapping[str, Any], weights: AsteroidWeights, where: str) -> dict[str, Any]:
    """The plain config of a Separator that has a place for every weight."""
    for key in arguments:
        if key not in KNOWN_ARGUMENTS:
            raise CheckpointError(describe(f"{where}: its argument `{key}` is not known here"))
    bound = arguments.get("mask_bound", "tanh")
    if bound not in BOUNDS:
        raise CheckpointError(
            describe(f"{where}: mask_bound has no counterpart", expected="tanh or None", got=bound)
        )
    n_fft, win_length, hop_length = (
        arguments.get(key, default) for key, default in zip(STFT_ARGUMENTS, STFT_DEFAULTS[name], strict=True)
    )
    n_sources = arguments.get("n_src", 1)
    return {
        "task": "enhance" if n_sources == 1 else "separate",
        "n_sources": n_sources,
        "stft": {
            "sample_rate": int(arguments.get("sample_rate") or 16000),
            "n_fft": n_fft,
            "win_length": win_length,
            "hop_length": hop_length,
            "window": "sqrt_hann",
        },
        "model": {
            "_target_": "audiocx.models.model.MaskingModel",
            "arithmetic": "complex",
            "features": "complex",
            "head": "plain_mask",
            "level": "none",
            "level_jitter_db": 0.0,
            "compression": 1.0,
            "mask_bound": BOUNDS[bound],
            "network": {
                "_target_": "audiocx.models.asteroid.FilterbankNetwork",
                "_partial_": True,
                "win_length": win_length,
                "hop_length": hop_length,
                "network": _network(name, arguments, weights, where),
            },
        },
    }


def _network(name: str, arguments: Mapping[str, Any], weights: AsteroidWeights, where: str) -> dict[str, Any]:
    """The config of the topology, as wide as the weights are."""
    network: dict[str, Any] = {"_partial_": True, "widths": weights.widths, "norm": "naive_batch"}
    if name == "DCCRNet":
        return network | {
            "_target_": "audiocx.models.dccrn.DCCRN",
            "hidden": weights.hidden,
            "n_layers": weights.n_recurrences,
            "pad_frames": False,
            "dropped": "nyquist",
        }
    architecture = arguments.get("architecture")
    if architecture not in DEPTHS:
        raise CheckpointError(
            describe(
                f"{where}: architecture is none of the published",
                expected=", ".join(DEPTHS),
                got=architecture,
            )
        )
    depth, large = DEPTHS[architecture]
    return network | {
        "_target_": "audiocx.models.dcunet.DCUNet",
        "depth": depth,
        "large": large,
        "activation": "audiocx.models.asteroid.BarelyLeakyCReLU",
        "pad_frames": arguments.get("fix_length_mode") == "pad",
    }
