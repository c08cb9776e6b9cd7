"""Memory stays flat over a long training: nothing is kept of a step that is over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

TRAIN = """
import gc
import json
import sys
from pathlib import Path
import audiocx.data.synthetic
from audiocx.apps.main import main
from audiocx.training.steps import RandomStateOfStep

audiocx.data.synthetic.VALID_ITEMS = 4
measured = {}
original = RandomStateOfStep.on_train_batch_start

def measure(self, trainer, pl_module, batch, batch_idx):
    original(self, trainer, pl_module, batch, batch_idx)
    if trainer.global_step % 100 == 50:
        gc.collect()
        status = Path("/proc/self/status").read_text()
        kilobytes = int(status.split("VmRSS:")[1].split()[0])
        measured[trainer.global_step] = kilobytes, len(gc.get_objects())

RandomStateOfStep.on_train_batch_start = measure
code = main(["train", *sys.argv[1:]])
Path("memory.json").write_text(json.dumps(measured))
sys.exit(code)
"""
WORDS = [
    "data.corpus.voices=harmonic",
    "data.corpus.train_voices=2",
    "data.corpus.valid_voices=1",
    "data.corpus.test_voices=1",
    "data.corpus.voice_seconds=6.0",
    "data.corpus.noise_recordings=4",
    "data.corpus.noise_seconds=4.5",
    "data.cache_dir=cache",
    "data.num_workers=1",
    "data.batch_size=1",
    "data.segment_seconds=0.25",
    "model.network.widths=[2,2]",
    "model.network.kernel_sizes=[[5,3],[5,3]]",
    "model.network.strides=[[4,2],[4,2]]",
    "trainer.accelerator=cpu",
    "trainer.max_steps=2000",
    "trainer.val_check_interval=200",
    "trainer.checkpoint_interval=50",
    "logger.log_every_n_steps=1",
    "logger.tensorboard_items=1",
    "test=false",
    "hydra.run.dir=run",
]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_two_thousand_steps_take_no_more_than_three_hundred(tmp_path):
    """Real data with a worker, both loggers with pictures, ten validations, forty checkpoints."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *WORDS], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    measured = {
        int(step): value for step, value in json.loads((tmp_path / "memory.json").read_text()).items()
    }
    early = [value for step, value in measured.items() if 300 < step < 900]
    late = [value for step, value in measured.items() if 1400 < step < 2000]
    kilobytes, objects = (
        median(value[kind] for value in late) - median(value[kind] for value in early) for kind in (0, 1)
    )
    assert kilobytes < 4096, measured
    assert objects < 500, measured
