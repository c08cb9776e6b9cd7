"""Ask how far from leaving the mixture as it is the masks of untrained twins begin.

python studies/first_masks.py MIXTURES [MODEL...]. MIXTURES is a folder of recordings. Printed for each model is the
mean of |M - 1|² over all bins of its first ten files, for five seeds, and the mean of these.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import lightning
import torch
from hydra import compose, initialize_config_dir

from audiocx.apps.train import make_separator
from audiocx.audio.files import read
from audiocx.audio.find import find_audio

CONF = Path(__file__).resolve().parents[1] / "conf"
MODELS = ["complex_unet", "split_unet", "dual_unet", "magnitude_unet"]
N_FILES, N_SEEDS = 10, 5


def main() -> None:
    """Build each model with each seed, mask, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mixtures", type=Path, metavar="MIXTURES")
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    options = parser.parse_args()
    files = sorted(found.path for found in find_audio([str(options.mixtures)]))[:N_FILES]
    mixtures = [torch.from_numpy(read(file)[0][:1]).unsqueeze(0) for file in files]
    for name in options.models:
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            config = compose("train", overrides=[f"model={name}"])
        distances = []
        for seed in range(N_SEEDS):
            lightning.seed_everything(seed, verbose=False)
            separator = make_separator(config).eval()
            with torch.no_grad():
                masks = [separator.model(separator.stft(mixture), None) for mixture in mixtures]
            distances.append(statistics.mean(float((mask - 1).abs().square().mean()) for mask in masks))
        print(
            name,
            " ".join(f"{distance:.2f}" for distance in distances),
            f"mean {statistics.mean(distances):.2f}",
        )


if __name__ == "__main__":
    main()
