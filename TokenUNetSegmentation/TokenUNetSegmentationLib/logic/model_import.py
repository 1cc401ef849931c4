"""Import of a model in a process of its own, as ``tokenunet models import`` does it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from slicer.i18n import tr as _
from tokenunet.bundle.importers.archive import open_model
from tokenunet.bundle.store import remove_unfinished_imports
from tokenunet.core.errors import ModelError
from tokenunet.core.events import ProgressEvent, ResultEvent

from TokenUNetSegmentationLib.process.worker import WorkerProcess, run_command

_NNUNET_FILE = "plans.json"
_NNUNET_PACKAGE = Requirement("dynamic-network-architectures>=0.4")


def packages_for(path: Path) -> list[Requirement]:
    """Return the packages that a model needs beyond the module's own: nnU-Net's networks, or none.

    Args:
        path: Folder or archive of a model; of one that cannot be read, the import itself tells why.
    """
    try:
        names = open_model(path).names
    except ModelError:
        return []
    return [_NNUNET_PACKAGE] if any(name.split("/")[-1] == _NNUNET_FILE for name in names) else []


class ModelImport:
    """Import of a model and its state.

    Args:
        path: Folder or archive of the model.
        mirroring: Whether windows of a model of nnU-Net are predicted mirrored too.
        start_worker: Function that starts the worker process.

    Attributes:
        fraction: Completed part of the import, from 0 to 1.
        name: Name of the imported model; empty until it has been imported.
    """

    def __init__(
        self, path: Path, mirroring: bool = False, start_worker: Callable[..., WorkerProcess] = WorkerProcess
    ) -> None:
        self.path = path
        self.fraction = 0.0
        self.name = ""
        self._arguments = ["models", "import", str(path), *(["--mirroring"] if mirroring else [])]
        self._start_worker = start_worker

    def steps(self) -> Iterator[None]:
        """Import the model in short steps; closing the iterator before its end leaves nothing of it.

        Raises:
            WorkerError: If the model cannot be imported.
        """
        try:
            unexpected = _("The import of {path} ended unexpectedly.").format(path=self.path)
            for events in run_command(self._arguments, self._start_worker, unexpected):
                for event in events:
                    if isinstance(event, ProgressEvent):
                        self.fraction = event.fraction
                    elif isinstance(event, ResultEvent):
                        self.name = str(event.report["name"])
                yield
        finally:
            remove_unfinished_imports()
