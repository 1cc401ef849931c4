"""List of the patients with several cases, which is displayed as soon as their folder is chosen."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _
from tokenunet.core.events import ResultEvent
from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command

if TYPE_CHECKING:
    from pathlib import Path

_TYPING_S = 0.4
"""Pause after which a typed path counts as complete."""
_MOST_GROUPS = 4
"""Displayed patients with several cases; the tooltip lists them all."""


class PatientGroups:
    """Label that lists the cases of each patient, which stay in one fold.

    Args:
        label: Label to fill.
        start_worker: Function that starts a process.
    """

    def __init__(self, label: Any, start_worker: Callable[..., WorkerProcess] = WorkerProcess) -> None:
        self._label = label
        self._start_worker = start_worker
        self._data: Path | None = None
        self._grouping: dict[str, Sequence[str]] = {}
        self._steps = BackgroundSteps(lambda: None, self._end)

    @property
    def running(self) -> bool:
        """Whether the folder is being listed."""
        return self._steps.running

    def look_at(self, data: "Path | None") -> None:
        """List the patients of another folder from now on.

        Args:
            data: Folder of the patients, or CSV file; None if none is chosen.
        """
        if data == self._data:
            return
        self.abandon()
        self._data = data
        if data is not None and data.exists():
            self._steps.start(self._list(["dataset", "patients", str(data)]))
        self._show()

    def abandon(self) -> None:
        """End the listing at once."""
        self._steps.abandon()
        self._data, self._grouping = None, {}

    def _list(self, command: list[str]) -> Iterator[None]:
        begin = time.monotonic() + _TYPING_S
        while time.monotonic() < begin:
            yield
        for events in run_command(command, self._start_worker, _("The patients could not be listed.")):
            for event in events:
                if isinstance(event, ResultEvent):
                    self._grouping = event.report["grouping"]
            yield

    def _end(self, error: Exception | None) -> None:
        self._show()  # "Check patients" reports errors

    def _show(self) -> None:
        text = grouping(self._grouping, _MOST_GROUPS)
        self._label.setText(text)
        self._label.setVisible(bool(text))
        self._label.setToolTip(grouping(self._grouping, None))


def grouping(cases: Mapping[str, Sequence[str]], most: int | None) -> str:
    """List the cases that belong to one patient and so stay in one fold, as rich text.

    Args:
        cases: Names of the cases of each patient.
        most: Number of patients to list; None lists all.
    """
    several = [(patient, names) for patient, names in cases.items() if len(names) > 1]
    if not several:
        return ""
    title = _("{count} patients have several cases, which stay in one fold:").format(count=len(several))
    lines = [f"{escape(patient)}: {escape(', '.join(names))}" for patient, names in several[:most]]
    hidden = len(several) - len(lines)
    if hidden:
        lines.append(_("and {count} more").format(count=hidden))
    return "<br>".join([title, *lines])
