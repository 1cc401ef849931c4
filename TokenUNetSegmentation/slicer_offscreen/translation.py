"""Stand-in for `slicer.i18n`, which the slicer-core package does not contain: texts stay in English."""

import importlib.util
import sys
from types import ModuleType

import slicer


def tr(text: str) -> str:
    """Return a text untranslated."""
    return text


def translate(context: str, text: str) -> str:
    """Return a text of another Slicer component untranslated."""
    return text


def provide_translation() -> None:
    """Make ``slicer.i18n`` importable; in the application, where it is, nothing is changed."""
    if "slicer.i18n" in sys.modules or importlib.util.find_spec("slicer.i18n") is not None:
        return
    module = ModuleType("slicer.i18n")
    module.__dict__.update(tr=tr, translate=translate)
    sys.modules[module.__name__] = slicer.i18n = module
