"""Paths of the resources that ship with the code: models, atlas and color tables."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent

_FOLDERS = (
    _PACKAGE.parent.parent / "Resources",  # source tree: Resources/ at the root
    _PACKAGE.parent / "Resources",  # installed extension: qt-scripted-modules/Resources/
    _PACKAGE / "Resources",  # pip wheel
)


def resource(relative: str) -> Path:
    """Return the path of a file or folder that ships with the code, such as ``Models`` or ``Atlas/LICENSE.txt``.

    Raises:
        FileNotFoundError: If the installation is incomplete.
    """
    for folder in _FOLDERS:
        if (folder / relative).exists():
            return folder / relative
    raise FileNotFoundError(f"{relative} is missing from this installation of Token-UNet; install it again.")
