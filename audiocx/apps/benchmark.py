"""`audiocx benchmark`: speed and memory of layers and models beside those of other libraries."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig
from rich.console import Console

from audiocx.apps.settings import at_least
from audiocx.benchmarks.report import machine, table
from audiocx.benchmarks.session import Session, write_rows
from audiocx.inference.device import choose_device


def benchmark(config: DictConfig) -> int:
    """Measure, print a table for each contest as it ends, and write all rows.

    Args:
        config: composed from conf/benchmark.yaml.

    Returns:
        Exit code 0.

    Raises:
        AudiocxError: something that the config names does not fit.
    """
    smoke = bool(config.smoke)
    session = Session(
        what=str(config.what),
        repeats=1 if smoke else at_least(1, "repeats", config.repeats),
        device=str(choose_device(str(config.device))),
        batch=at_least(1, "batch", config.batch),
        n_frames=at_least(1, "n_frames", config.n_frames),
        only=tuple(map(str, config.only)),
        shapes=tuple(map(str, config.shapes)),
        bf16=bool(config.bf16),
        clock=str(config.clock),
        memory=bool(config.memory),
        smoke=smoke,
    )
    several = config.threads if isinstance(config.threads, ListConfig) else [config.threads]
    numbers = [at_least(1, "threads", threads) for threads in several]
    session.contests()  # says what does not fit before anything is measured
    path = Path(HydraConfig.get().runtime.output_dir) / f"{session.what}.json"
    # Narrower than this, a table breaks its numbers.
    console = Console()
    console.width = max(console.width, 132)
    console.print(machine(session.device), highlight=False)
    rows = []
    for threads in numbers:
        for measured in session.run(threads):
            rows += measured
            console.print(table(measured))
            write_rows(rows, path)
    console.print(f"rows: {path}", highlight=False, markup=False, soft_wrap=True)
    return 0
