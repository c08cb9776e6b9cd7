"""Memory does not grow with the length of a recording."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

CONF = Path(__file__).parents[2] / "conf"

ENHANCE = r"""
import pathlib, re, resource, sys
import torch, yaml
from audiocx.inference.enhancer import Enhancer
from audiocx.models.separator import Separator

STATUS = pathlib.Path("/proc/self/status")
own = []


def look(done=0.0, total=0.0):
    if STATUS.is_file():
        own.append(int(re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())[1]) / 1024)


torch.set_num_threads(1)
model = yaml.safe_load(open(sys.argv[3]))
separator = Separator.from_config({"stft": {}, "model": model, "task": "enhance", "n_sources": 1})
Enhancer(separator, device="cpu").file(sys.argv[1], sys.argv[2], progress=look)
if STATUS.is_file():  # getrusage would give the peak of the process that started this one, where that is larger
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) / 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
print(peak, *own)
"""


def megabytes(folder, minutes: int) -> tuple[float, list[float]]:
    """Peak of all memory, and what the process itself filled as it went: mapped libraries vary by the machine."""
    source, target = folder / f"{minutes}.wav", folder / f"{minutes}_out.wav"
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(source, "w", 44_100, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(generator.uniform(-0.1, 0.1, (60 * 44_100, 2)))
    command = [sys.executable, "-c", ENHANCE, str(source), str(target), str(CONF / "model/complex_unet.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert soundfile.info(target).frames == minutes * 60 * 44_100
    peak, *own = map(float, result.stdout.split())
    return peak, own


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_an_hour_takes_less_than_a_gigabyte(tmp_path):
    """By ten minutes of stereo at another rate, 71 MB more as float32 in each third, held by no stage."""
    peak, own = megabytes(tmp_path, 10)
    third = len(own) // 3
    growth = np.median(own[-third:]) - np.median(own[third:-third]) if third else 0.0  # MB in 3.3 minutes
    assert growth < 30
    assert peak < 1000
