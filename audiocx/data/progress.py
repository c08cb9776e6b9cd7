"""The progress bar of rendering and reading: on standard error, and only where somebody watches."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress


def progress_bar() -> Progress:
    """Return a bar that disappears when done; it draws nothing where standard error is no terminal."""
    console = Console(stderr=True)
    return Progress(transient=True, console=console, disable=not console.is_terminal)
