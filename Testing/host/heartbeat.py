"""Measures whether a window stays alive: a timer's beats, and the longest pauses between them."""

import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_BEAT_MS = 2
_WATCH_S = 0.01
_HOST = Path(__file__).parent
_MODULES = _HOST.parents[1] / "TokenUNetSegmentation"


@dataclass(frozen=True)
class Block:
    """A time in which the window could not react.

    Attributes:
        seconds: how long.
        where: the line that ran most of it, such as ``masks.py:90 set_threshold``, of the module or, in brackets, of
            the host; empty for short ones.
    """

    seconds: float
    where: str


class Heartbeat:
    """A timer that should fire every few milliseconds, and the longest pause between two of its beats.

    Args:
        phase: says at each beat what goes on; the pause that follows is counted there.
    """

    def __init__(self, phase: Callable[[], str] = lambda: "") -> None:
        import qt  # there is one only once the host has started

        self.longest_by_phase: dict[str, Block] = {}
        self._phase_now = phase
        self._phase = phase()
        self._last = time.perf_counter()
        self._lines: Counter[str] = Counter()
        self._watched = threading.main_thread().ident
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self._timer = qt.QTimer()
        self._timer.setInterval(_BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    @property
    def longest(self) -> float:
        """Seconds, over all phases."""
        return max((block.seconds for block in self.longest_by_phase.values()), default=0.0)

    def _beat(self) -> None:
        now = time.perf_counter()
        block = Block(now - self._last, next((line for line, _ in self._lines.most_common(1)), ""))
        if block.seconds > self.longest_by_phase.get(self._phase, Block(0.0, "")).seconds:
            self.longest_by_phase[self._phase] = block
        self._phase, self._last = self._phase_now(), now
        self._lines = Counter()

    def _watch(self) -> None:
        """Notes, from another thread, which line runs while no beat comes."""
        while not self._stopped.wait(_WATCH_S):
            frame = sys._current_frames().get(self._watched or 0)
            if time.perf_counter() - self._last > _WATCH_S and frame is not None:
                self._lines[_own_line(frame)] += 1

    def stop(self) -> None:
        self._timer.stop()
        self._stopped.set()


def _own_line(frame: FrameType) -> str:
    """The innermost line of the module's own code or of the host's."""
    for entry in reversed(traceback.extract_stack(frame)):
        path = Path(entry.filename)
        line = f"{path.name}:{entry.lineno} {entry.name}"
        of_host = path.is_relative_to(_HOST) or path.is_relative_to(_MODULES / "slicer_offscreen")
        if path.is_relative_to(_MODULES) and not of_host:
            return line
        if of_host and path.name != "measure_blocks.py":
            return f"({line})"
    return ""
