"""Button next to the list of models that imports another one, with its progress."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from TokenUNetSegmentationLib.logic.background_steps import BackgroundSteps
from TokenUNetSegmentationLib.logic.model_import import ModelImport, packages_for
from TokenUNetSegmentationLib.panels.messages import sentence


class ModelImportPanel:
    """Button with a menu that imports models, and a row with the progress of the import.

    Args:
        ui: Widgets of the .ui file.
        install: Function that installs the module's packages and `further` ones with the user's consent, and returns
            whether all are there.
        on_imported: Callback that receives the name of an imported model.
    """

    def __init__(self, ui: Any, install: Callable[..., bool], on_imported: Callable[[str], None]) -> None:
        self._ui = ui
        self._install = install
        self._on_imported = on_imported
        self._import: ModelImport | None = None
        self._message = ""
        self._steps = BackgroundSteps(self.show, self._end)
        self.start_import: Callable[[Path, bool], ModelImport] = ModelImport
        menu = qt.QMenu(ui.importButton)
        self.folder_action = qt.QAction(_("Import model folder…"), menu)
        self.archive_action = qt.QAction(_("Import model archive (.zip)…"), menu)
        self.mirroring_action = qt.QAction(_("Mirror windows of nnU-Net (up to 8 times slower)"), menu)
        self.mirroring_action.setCheckable(True)
        for action in (self.folder_action, self.archive_action, self.mirroring_action):
            menu.addAction(action)
        ui.importButton.setMenu(menu)
        self.folder_action.triggered.connect(lambda *_: self._choose_folder())
        self.archive_action.triggered.connect(lambda *_: self._choose_archive())
        ui.importCancelButton.clicked.connect(lambda *_: self.cancel())
        self.show()

    @property
    def running(self) -> bool:
        """Whether a model is being imported."""
        return self._steps.running

    def show(self) -> None:
        """Update all that is displayed."""
        self._ui.importButton.setEnabled(not self.running)
        self._ui.importFrame.setVisible(self.running)
        if self._import is not None:
            self._ui.importProgressBar.setValue(round(100 * self._import.fraction))
            self._ui.importProgressBar.setFormat(_("Importing") + " %p%")
        self._ui.importLabel.setText(self._message)
        self._ui.importLabel.setVisible(bool(self._message))

    def cancel(self) -> None:
        """Stop the import, of which nothing is kept."""
        if self.running:
            self._steps.abandon()
            self._message = _("The import was cancelled.")
            self.show()

    def abandon(self) -> None:
        """Stop the import without a message: Slicer or the module is being closed."""
        self._steps.abandon()
        self._message = ""
        self.show()

    def start(self, path: Path) -> None:
        """Import a model, after installing missing packages with the user's consent."""
        if not self.running and self._install(further=packages_for(path)):
            self._message = ""
            self._import = self.start_import(path, self.mirroring_action.checked)
            self._steps.start(self._import.steps())
            self.show()

    def _choose_folder(self) -> None:
        chosen = qt.QFileDialog.getExistingDirectory(None, _("Folder of a bundle, or of a model of nnU-Net or MONAI"))
        if chosen:
            self.start(Path(chosen))

    def _choose_archive(self) -> None:
        chosen = qt.QFileDialog.getOpenFileName(None, _("Archive of a model"), "", _("Archives") + " (*.zip)")
        if chosen:
            self.start(Path(chosen))

    def _end(self, error: Exception | None) -> None:
        assert self._import is not None
        if error is None:
            self._message = _("Imported: {name}.").format(name=escape(self._import.name))
            self._on_imported(self._import.name)
        else:
            self._message = sentence(error)
        self.show()
