"""Section "Progress" of the panel: a row for every fold, and the curves."""

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _
from tokenunet.networks.registry import title_of
from TokenUNetSegmentationLib.panels.tables import fill_table

from TokenUNetTrainingLib.logic.run import ExperimentWatch
from TokenUNetTrainingLib.panels.training import duration
from TokenUNetTrainingLib.scene.curves import CurveKind, Curves

if TYPE_CHECKING:
    from tokenunet.training.experiment.progress import ExperimentProgress, FoldProgress


class ProgressPanel:
    """Section that displays the progress of each fold.

    Args:
        ui: Widgets of the .ui file.
        watch: State of the experiment.
    """

    def __init__(self, ui: Any, watch: ExperimentWatch) -> None:
        self._ui = ui
        self._watch = watch
        self._drawn: ExperimentProgress | None = None
        self.curves = Curves()
        for kind, title in (
            (CurveKind.NONE, _("hidden")),
            (CurveKind.LOSS, _("loss by epoch")),
            (CurveKind.DICE, _("validation Dice by epoch")),
            (CurveKind.BOXES, _("Dice of the cases")),
        ):
            ui.curvesBox.addItem(title, kind.value)
        ui.curvesBox.currentIndexChanged.connect(lambda *_: self.show())

    def show(self) -> None:
        """Update table and curves."""
        progress = self._watch.progress
        fill_table(
            self._ui.foldsTable, [fold_row(progress, fold) for fold in progress.folds] if progress else [], widest=0
        )
        self._ui.curvesBox.setEnabled(progress is not None)
        if progress is not self._drawn:
            self._drawn = progress
            self.curves.remove()
        kind = CurveKind(self._ui.curvesBox.itemData(self._ui.curvesBox.currentIndex))
        self.curves.show(progress.folds if progress else [], kind if progress else CurveKind.NONE)


def fold_row(progress: "ExperimentProgress", fold: "FoldProgress") -> list[str]:
    """Return the cells of a fold: name, epochs, Dice in percent, time left or state, memory in GB."""
    state = progress.state(fold).value
    dice = fold.last_dice
    return [
        f"{title_of(fold.folder.architecture)}, {fold.folder.fold}",
        f"{fold.epoch}/{fold.total_epochs}" if fold.total_epochs else "",
        "" if dice is None else f"{dice:.1%}",
        duration(fold.seconds_left(fold)) if state == "training" and fold.seconds_per_step else _state_title(state),
        f"{fold.peak_memory_bytes / 1e9:.1f}" if fold.peak_memory_bytes else "",
    ]


def _state_title(state: str) -> str:
    """Return the displayed name of a fold's state."""
    return {
        "waiting": _("waiting"),
        "training": _("training"),
        "interrupted": _("interrupted"),
        "finished": _("finished"),
        "failed": _("failed"),
    }.get(state, state)
