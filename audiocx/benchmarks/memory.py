"""Peak memory of one training step of a case, in a fresh process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import re
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from audiocx.benchmarks.case import Case, Work

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PATIENCE_SECONDS = 600.0


def peak_megabytes(find: Callable[..., Case], arguments: tuple[Any, ...], device: str) -> float | None:
    """Megabytes (10^6 bytes) that the second training step of a case takes at most, its weights and input included.

    On CUDA that is what torch's allocator says. On a processor it is how far the resident size of a process that is
    started for the case alone rises in that step, and the bytes of weights and input, which lie there before;
    whatever libraries hold for themselves is not counted.

    Args:
        find: gives the case in that process; of a module, so that it can be sent there.
        arguments: of `find`.
        device: to run on.

    Returns:
        None where a platform does not tell its peak.
    """
    # A server that has imported torch starts the processes; where there is none, each imports it.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__, find.__module__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, find, arguments, device))
    process.start()
    sender.close()
    try:
        peak: float | None = receiver.recv() if receiver.poll(PATIENCE_SECONDS) else None
    except EOFError:  # it has died
        peak = None
    process.join(1.0)
    if process.is_alive():
        process.kill()
    return peak


def _measure(sender: Connection, find: Callable[..., Case], arguments: tuple[Any, ...], device: str) -> None:
    torch.set_num_threads(1)
    place = torch.device(device)
    case = find(*arguments)
    work = case.make(place)
    _step(work, case.half, place)
    work.clear()
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
        _step(work, case.half, place)
        peak: float | None = float(torch.cuda.max_memory_allocated(place))
    else:
        _give_back()
        before = _status_bytes("VmRSS")
        _step(work, case.half, place)
        after = _status_bytes("VmHWM")
        peak = None if before is None or after is None else max(0.0, after - before) + _held_bytes(work)
    sender.send(None if peak is None else peak / 1e6)
    sender.close()


def _step(work: Work, half: bool, device: torch.device) -> None:
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        outputs = work.forward()
    work.backward(outputs)


def _give_back() -> None:
    """Return what is free to the system, and begin a new peak; both Linux alone."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        CLEAR.write_text("5", encoding="ascii")


def _held_bytes(work: Work) -> float:
    """Bytes of weights, buffers and inputs."""
    tensors = [*work.module.parameters(), *work.module.buffers(), *work.inputs]
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors))


def _status_bytes(key: str) -> float | None:
    """A size that the kernel tells of this process; None where it tells none."""
    if sys.platform != "linux" or not STATUS.exists():
        return None
    found = re.search(rf"^{key}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"), re.MULTILINE)
    return 1024.0 * float(found.group(1)) if found else None
