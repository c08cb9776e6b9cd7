"""Separator: waveform in, waveforms out. It owns the STFT and the model; it is what is saved, loaded and used."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

import audiocx
from audiocx.errors import CheckpointError, describe
from audiocx.models.build import build, check_trusted
from audiocx.models.conditions import Conditions
from audiocx.models.model import SpectralModel
from audiocx.signal.checks import check_shape
from audiocx.signal.stft import STFT

FORMAT_VERSION = 1
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"


class Separator(nn.Module):
    """Enhances or separates waveforms: STFT, mask, inverse STFT.

    Args:
        stft: the transform that the model was made for.
        model: complex STFT to masks, see `audiocx.models.model`.
        config: the plain config that `from_config` rebuilds it from; saved with the weights.
    """

    def __init__(self, stft: STFT, model: SpectralModel, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.stft = stft
        self.model = model
        self.config = dict(config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, trust: Sequence[str] | None = None) -> Separator:
        """Build an untrained separator.

        Args:
            config: `stft` (arguments of `STFT`), `model` (a config for `build`), `task`, `n_sources`.
            trust: packages that the config may name; None trusts it wholly (the user's own).

        Raises:
            ConfigError: the config names something unknown, or not trusted.
        """
        if trust is not None:
            check_trusted(config["model"], trust)
        stft = STFT(**config["stft"])
        model = build(config["model"], n_sources=config["n_sources"], n_frequencies=stft.n_frequencies)
        return cls(stft, model, {**config, "stft": stft.settings})

    @property
    def sample_rate(self) -> int:
        """Samples a second that it works at, in Hz."""
        return self.stft.sample_rate

    @property
    def n_sources(self) -> int:
        """Number of waveforms that it gives for each one."""
        return int(self.config["n_sources"])

    @property
    def task(self) -> str:
        """`enhance` or `separate`."""
        return str(self.config["task"])

    @property
    def uses_utterance_level(self) -> bool:
        """The model measures its input's level over all of it: measure long files as a whole, hand the level in."""
        features = getattr(self.model, "features", None)
        return getattr(features, "level", None) == "utterance"

    @property
    def causal(self) -> bool:
        """The model can go through a stream piece by piece (`model.step`); one that does not say so cannot."""
        return bool(getattr(self.model, "causal", False))

    def forward(self, waveform: Tensor, conditions: Conditions | None = None) -> Tensor:
        """Estimate the sources of a mixture.

        Args:
            waveform: mixture (batch, channel, sample) at `sample_rate`.
            conditions: what the call may know besides.

        Returns:
            (batch, source, channel, sample), as long as the mixture.

        Raises:
            ShapeError: the waveform has other axes.
        """
        check_shape(waveform, "batch channel sample", name="waveform")
        mixture_stft = self.stft(waveform)
        mask = self.model(mixture_stft, conditions)
        estimate_stft = self.model.apply_mask(mixture_stft, mask)
        return self.stft.inverse(estimate_stft, waveform.shape[-1])

    def save(self, folder: Path | str) -> None:
        """Write the portable folder, `config.json` and `model.safetensors`, whole or not at all.

        Args:
            folder: made anew; an older one of that name is replaced.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
        try:
            temporary.mkdir()
            config = {"format_version": FORMAT_VERSION, "audiocx_version": audiocx.__version__, **self.config}
            (temporary / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            weights = {name: value.contiguous() for name, value in self.model.state_dict().items()}
            save_file(weights, str(temporary / WEIGHTS_NAME))
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def load_weights(self, weights: Mapping[str, Tensor], *, where: str) -> None:
        """Load the model's weights.

        Args:
            weights: name to tensor, as `model.state_dict()` names them.
            where: the file that they come from, for the message.

        Raises:
            CheckpointError: a name is missing or left over, or a shape differs.
        """
        try:
            self.model.load_state_dict(dict(weights))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                describe(f"{where}: weights do not fit the model of the config", got=reason)
            ) from error
