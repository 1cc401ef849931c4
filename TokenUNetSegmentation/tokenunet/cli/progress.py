"""Display of events: JSON lines for programs, a progress bar and messages for people."""

import argparse
import sys
from typing import Literal

from tokenunet.core.events import Event, OnEvent, ProgressEvent, WarningEvent

ProgressStyle = Literal["json", "bar", "none"]
_BAR_WIDTH = 30


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """Add the ``--progress`` option."""
    parser.add_argument(
        "--progress",
        choices=("json", "bar", "none"),
        default="bar" if sys.stderr.isatty() else "none",
        help="json: one event per line on standard output; bar: progress bar on standard error (default: bar on a "
        "terminal, otherwise none)",
    )


def event_receiver(style: ProgressStyle | None) -> OnEvent:
    """Return the callback that displays events in a style.

    Args:
        style: Display style; None displays warnings only.
    """
    if style == "json":
        return _print_json
    return _Bar(visible=style == "bar")


def _print_json(event: Event) -> None:
    print(event.to_json(), flush=True)


class _Bar:
    """Progress in the last line of the terminal, with warnings above it."""

    def __init__(self, visible: bool) -> None:
        self._visible = visible

    def __call__(self, event: Event) -> None:
        if isinstance(event, WarningEvent):
            self._clear()
            print(f"Warning: {event.message}", file=sys.stderr)
        elif not isinstance(event, ProgressEvent):
            self._clear()
        elif self._visible:
            bar = "#" * round(_BAR_WIDTH * event.fraction)
            left = "" if event.eta_s is None else f"{event.eta_s:.0f} s left"
            line = f"\r{event.stage:<8} [{bar:<{_BAR_WIDTH}}] {event.fraction:4.0%}  {left:<12}"
            print(line, end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._visible:
            print("\r" + " " * (_BAR_WIDTH + 35) + "\r", end="", file=sys.stderr, flush=True)
