"""Background work in short steps that keep the window responsive."""

from collections.abc import Callable, Iterator

import qt

_PAUSE_MS = 20


class BackgroundSteps:
    """Runner that takes the steps of an iterator one by one and lets the window process its events in between.

    Args:
        on_step: Callback after each step.
        on_end: Callback at the end, which receives the exception that ended the work, or None.
    """

    def __init__(self, on_step: Callable[[], None], on_end: Callable[[Exception | None], None]) -> None:
        self._on_step = on_step
        self._on_end = on_end
        self._steps: Iterator[None] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)  # a step that processes events must not be re-entered
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._take_step)

    @property
    def running(self) -> bool:
        """Whether there are steps left."""
        return self._steps is not None

    def start(self, steps: Iterator[None]) -> None:
        """Start the work: take the first step once the window is idle.

        Args:
            steps: Generator that does the work and yields after each step.
        """
        self._steps = steps
        self._timer.start()

    def abandon(self) -> None:
        """End the work immediately; its clean-up runs, `on_end` is not called."""
        self._timer.stop()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()  # type: ignore[attr-defined]

    def _take_step(self) -> None:
        if self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration:
            self._finish(None)
        except Exception as error:  # the panel displays any error; raised in the timer, it would be lost
            self._finish(error)
        else:
            self._on_step()
            self._timer.start()

    def _finish(self, error: Exception | None) -> None:
        self._steps = None
        self._on_end(error)
