"""Rows of a panel that list missing packages and install them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError

from TokenUNetSegmentationLib.panels.messages import sentence
from TokenUNetSegmentationLib.process import dependencies


class InstallationPanel:
    """Rows that list missing packages and install them with the user's consent.

    Args:
        ui: Has `missingFrame`, `missingLabel`, `installButton` and `installFromFolderButton`.
        requirements: Packages that must be installed.
        on_changed: Callback that receives a message for the panel before and after each installation.

    Attributes:
        missing: Packages that are not installed.
        installing: Whether an installation is running; the window stays responsive meanwhile.
    """

    def __init__(self, ui: Any, requirements: list[Requirement], on_changed: Callable[[str], None]) -> None:
        self._ui = ui
        self._requirements = requirements
        self._on_changed = on_changed
        self.missing = dependencies.missing_requirements(requirements)
        self.installing = False
        ui.installButton.clicked.connect(lambda *_: self.install())
        ui.installFromFolderButton.clicked.connect(lambda *_: self._install_from_folder())

    def show(self) -> None:
        """Update the rows."""
        self._ui.missingFrame.setVisible(bool(self.missing))
        self._ui.missingFrame.setEnabled(not self.installing)
        self._ui.missingLabel.setText(
            _("Not installed yet: {what}.").format(what=dependencies.describe(self.missing)) if self.missing else ""
        )

    def install(self, wheels: Path | None = None, further: Sequence[Requirement] = ()) -> bool:
        """Install missing packages with the user's consent, and return whether all are installed.

        Args:
            wheels: Folder with wheel files to install from; None downloads them.
            further: Packages that an action needs beyond the module's.
        """
        needed = [*self._requirements, *further]
        missing, message = [*self.missing, *dependencies.missing_requirements(further)], ""
        if not missing:
            return True
        if self.installing or not dependencies.user_agrees(missing):
            return False
        self.installing = True
        self._on_changed(_("Installing; this takes minutes..."))
        try:
            with slicer.util.WaitCursor():
                dependencies.install(missing, wheels)
        except TokenUNetError as error:
            message = sentence(error)
        finally:
            self.installing = False
        self.missing = dependencies.missing_requirements(self._requirements)
        complete = not message and not dependencies.missing_requirements(needed)
        if complete:
            message = _("Installed: {what}.").format(what=", ".join(requirement.name for requirement in missing))
        self._on_changed(message)
        return complete

    def _install_from_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder with wheel files"))
        if folder:
            self.install(Path(folder))
