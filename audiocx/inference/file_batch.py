"""Many files: what is done is not done again, and one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audiocx.audio.files import printable
from audiocx.errors import AudiocxError
from audiocx.inference.enhancer import Enhancer, FileReport, output_paths


@dataclass(frozen=True)
class Job:
    """A file to enhance, and the file to make of it."""

    input: Path
    output: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: the job.
        report: what was done; None where the output was there already, or the file failed.
        failure: why it failed, in one line that names the file; None where it did not.
    """

    job: Job
    report: FileReport | None = None
    failure: str | None = None

    @property
    def skipped(self) -> bool:
        """The output was there already."""
        return self.report is None and self.failure is None


def enhance_file(
    enhancer: Enhancer,
    job: Job,
    *,
    overwrite: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> Outcome:
    """Do one job; an error becomes part of the outcome.

    Outputs appear whole or not at all, so one that is there needs no second look: a batch that was
    interrupted goes on where it stood.

    Args:
        enhancer: does the work.
        job: input and output.
        overwrite: do it even if all outputs are there.
        progress: called with the seconds that are done and those there are.
    """
    outputs = output_paths(job.output, enhancer.separator.n_sources)
    if not overwrite and all(path.is_file() for path in outputs):
        return Outcome(job)
    try:
        return Outcome(job, report=enhancer.file(job.input, job.output, progress=progress))
    except AudiocxError as error:
        return Outcome(job, failure=str(error))
    except Exception as error:
        # Out of memory, a library's own error: the other files may do, and the user wants to know which did
        # not.
        reason = " ".join(str(error).split()) or "no message"
        return Outcome(job, failure=f"{printable(job.input)}: {type(error).__name__}: {reason}")
