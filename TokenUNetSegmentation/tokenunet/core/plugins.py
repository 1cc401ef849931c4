"""Plugins: Python files of the user, and installed packages, that register networks or overlays."""

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

from tokenunet.core.errors import TokenUNetError


class Plugins:
    """Plugins of one kind, each imported once.

    They are the Python files of the folder `$TOKENUNET_<KIND>` (default: `~/.tokenunet/<kind>`), and the entry points
    of the group `tokenunet.<kind>` of installed packages.

    Args:
        kind: Kind of the plugins in the plural, such as `networks`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._imported: set[Path] = set()

    @property
    def folder(self) -> Path:
        """Folder of the user's own plugins."""
        return Path(os.environ.get(f"TOKENUNET_{self._kind.upper()}") or Path.home() / ".tokenunet" / self._kind)

    def load(self) -> None:
        """Import the plugins that have not been imported yet.

        One that cannot be imported, for instance because PyTorch is not installed yet, is reported by a warning.
        """
        for source, load in self._sources():
            if source in self._imported:
                continue
            self._imported.add(source)
            try:
                load()
            except Exception as error:  # whatever a plugin's own code raises must not take the others along
                warnings.warn(f"The plugin {source} cannot be loaded: {error}", stacklevel=2)

    def _sources(self) -> Iterator[tuple[Path, Callable[[], object]]]:
        """Yield where each plugin is from, and what imports it."""
        for entry_point in _entry_points(f"tokenunet.{self._kind}"):
            yield Path(entry_point.value), entry_point.load
        for file in sorted(self.folder.glob("*.py")):
            yield file, partial(self._import_file, file)

    def _import_file(self, file: Path) -> None:
        name = f"tokenunet_{self._kind}_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def check_name(name: str, what: str, taken: Mapping[str, object], error: type[TokenUNetError]) -> None:
    """Check that something can be registered under a name.

    Args:
        name: Name in question.
        what: What it names, with its article, for messages.
        taken: Registered classes and functions by name.
        error: Type of the error to raise.

    Raises:
        error: If the name is taken or no identifier.
    """
    if not name.isidentifier():
        raise error(f"{name!r} cannot name {what}.", "Use letters, digits and underscores.")
    if name in taken:
        owner = getattr(taken[name], "__module__", "another module")
        raise error(f"{name!r} cannot name {what}: {name!r} is taken by {owner}.", "Register it under another name.")


@cache
def _entry_points(group: str) -> EntryPoints:
    """Return the plugins of installed packages; looking for them reads the metadata of every package."""
    return entry_points(group=group)
