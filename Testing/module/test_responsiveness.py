"""The window stays alive during a run: the longest time in which it could not react."""

import time
from typing import Any

import host
import pytest
from module.driving import segment, wait_until

LONGEST_BLOCK_S = 0.1


class Heartbeat:
    """A timer that should fire every few milliseconds, and the longest pause between two of its beats."""

    def __init__(self) -> None:
        import qt

        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now

    def stop(self) -> None:
        self._timer.stop()


def test_a_block_is_noticed(app: Any) -> None:
    heartbeat = Heartbeat()
    app.processEvents()
    time.sleep(0.15)
    app.processEvents()
    heartbeat.stop()
    assert heartbeat.longest > 0.14


def longest_block_of_a_run(module: host.LoadedModule) -> float:
    """Seconds, from the click to the last thing that the panel shows of the result."""
    module.widget.masksPanel.forget()
    heartbeat = Heartbeat()
    segment(module)
    wait_until(lambda: module.widget.ui.overlapTable.rowCount == 8)
    heartbeat.stop()
    return heartbeat.longest


def test_window_stays_alive_during_a_run(
    module: host.LoadedModule, volumes: dict[str, Any], standin: pytest.MonkeyPatch
) -> None:
    # Other programs on this computer stop the window too, but hardly three times in a row.
    longest = min(longest_block_of_a_run(module) for _ in range(3))
    print(f"longest block {1000 * longest:.0f} ms")
    assert longest <= LONGEST_BLOCK_S
