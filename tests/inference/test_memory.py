"""Memory does not grow with the length of a recording."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

CONF = Path(__file__).parents[2] / "conf"

ENHANCE = """
import pathlib, re, resource, sys
import torch, yaml
from audiocx.inference.enhancer import Enhancer
from audiocx.models.separator import Separator
torch.set_num_threads(1)
model = yaml.safe_load(open(sys.argv[3]))
separator = Separator.from_config({"stft": {}, "model": model, "task": "enhance", "n_sources": 1})
Enhancer(separator, device="cpu").file(sys.argv[1], sys.argv[2])
status = pathlib.Path("/proc/self/status")
if status.is_file():  # Linux lets a child inherit getrusage's peak from the process that started it
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))
"""


def peak_megabytes(folder, minutes: int) -> float:
    source, target = folder / f"{minutes}.wav", folder / f"{minutes}_out.wav"
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(source, "w", 44_100, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(generator.uniform(-0.1, 0.1, (60 * 44_100, 2)))
    command = [sys.executable, "-c", ENHANCE, str(source), str(target), str(CONF / "model/complex_unet.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert soundfile.info(target).frames == minutes * 60 * 44_100
    return float(result.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_an_hour_takes_less_than_a_gigabyte(tmp_path):
    """By what ten minutes take more than one: stereo at another rate, 212 MB as float32, held by no stage."""
    one, ten = peak_megabytes(tmp_path, 1), peak_megabytes(tmp_path, 10)
    growth = max(0.0, ten - one) / 9  # MB a minute
    assert growth < 5
    assert ten + 50 * growth < 1000
