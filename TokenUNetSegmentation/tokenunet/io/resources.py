"""Finds what ships beside the code: models, atlas, color tables."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent

_FOLDERS = (
    _PACKAGE.parent.parent / "Resources",  # source tree: Resources/ at the root
    _PACKAGE.parent / "Resources",  # installed extension: qt-scripted-modules/Resources/
    _PACKAGE / "Resources",  # pip wheel
)


def resource(relative: str) -> Path:
    """Path of a file or folder that ships beside the code, such as ``Models`` or ``Atlas/LICENSE.txt``.

    Raises:
        FileNotFoundError: where none of the three layouts has it, which means a broken installation.
    """
    for folder in _FOLDERS:
        if (folder / relative).exists():
            return folder / relative
    raise FileNotFoundError(f"{relative} is missing from this installation of Token-UNet; install it again.")
