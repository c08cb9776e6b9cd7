"""Ask what limits a trained mask: its modulus or its phase, and talkers and noises that it has not met.

python studies/limits.py RUN [--items N]. RUN is a folder of `audiocx train data=mix ...`, whose recordings are
where they were. Its separator is scored on mixtures made as the validation items are, of the training part
(talkers and noises that it has met, mixed as it has not met them) and of the validation part, and on the noisy
items of the run's test set. Beside the estimate stand the modulus of its mask with the noisy phase, its spectrum
with the phase or with the modulus of the target, and the phase-sensitive mask of the target. Gains of SI-SDR in
dB, printed in Markdown.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from audiocx.data.batch import Example
from audiocx.data.mix import MixDataModule
from audiocx.evaluation.baselines import OracleMask
from audiocx.evaluation.systems import ModulusSystem, SeparatorSystem
from audiocx.metrics.waveform import si_sdr_db
from audiocx.models.checkpoint import load
from audiocx.models.separator import Separator

NOISY_KINDS = ("dry", "reverberant")


def phases(spectrum: Tensor) -> Tensor:
    """Every bin with modulus 1."""
    return torch.polar(torch.ones_like(spectrum.real), spectrum.angle())


def estimates(separator: Separator) -> dict[str, Callable[[Example], Tensor]]:
    """Columns of the table: each gives (source, channel, sample) of an example."""
    stft = separator.stft
    whole, modulus, oracle = SeparatorSystem(separator), ModulusSystem(separator), OracleMask(stft)

    def exchanged(example: Example, *, keeps_phase: bool) -> Tensor:
        estimate, target = stft(whole(example.mixture)), stft(example.target)
        phase, size = (estimate, target) if keeps_phase else (target, estimate)
        return stft.inverse(size.abs() * phases(phase), example.mixture.shape[-1])

    return {
        "estimate": lambda example: whole(example.mixture),
        "\\|M\\|, noisy phase": lambda example: modulus(example.mixture),
        "its modulus, target's phase": lambda example: exchanged(example, keeps_phase=False),
        "target's modulus, its phase": lambda example: exchanged(example, keeps_phase=True),
        "phase-sensitive mask": oracle.estimate,
    }


def gains_db(
    systems: dict[str, Callable[[Example], Tensor]], examples: Iterable[Example]
) -> list[list[float]]:
    """Gains of every system over the noisy examples, in dB."""
    found: list[list[float]] = [[] for _ in systems]
    for example in examples:
        if example.tags["kind"] not in NOISY_KINDS:
            continue
        given = si_sdr_db(example.mixture.expand_as(example.target), example.target).mean()
        for gains, system in zip(found, systems.values(), strict=True):
            gains.append(float(si_sdr_db(system(example), example.target).mean() - given))
    return found


def main() -> None:
    """Make the items of all parts, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--items", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    separator = load(options.run).eval()
    config = OmegaConf.load(options.run / "config.yaml")
    data: MixDataModule = instantiate(config.data, stft=separator.stft, seed=config.seed, _convert_="all")
    data.prepare_data()
    data.setup()
    systems = estimates(separator)
    print(f"| items | n | {' | '.join(systems)} |")
    print("|---|" + "---:|" * (len(systems) + 1))
    parts = {
        "training": data.make_like_valid("train", options.items),
        "validation": data.make_like_valid("valid", options.items),
        "test": data.test_set(),
    }
    with torch.no_grad():
        for name, items in parts.items():
            found = gains_db(systems, (items[index] for index in range(len(items))))
            cells = [f"{statistics.mean(gains):+.2f}" for gains in found]
            print(f"| {name} | {len(found[0])} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
