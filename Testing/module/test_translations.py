"""What a person reads in Slicer goes through its translation."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE_SLICER = ("watched_worker.py", "detached_training.py")
FILES = sorted(
    path
    for module in ("TokenUNetSegmentation", "TokenUNetTraining")
    for room in ("panels", "logic", "process", "scene")
    for path in (ROOT / module / f"{module}Lib" / room).glob("*.py")
    if path.name not in OUTSIDE_SLICER
)
UI_FILES = "TokenUNet*/Resources/UI/*.ui"
SHOWING = {
    "setText",
    "setToolTip",
    "setTitle",
    "setPlaceholderText",
    "addItem",
    "QCheckBox",
    "QLabel",
    "_say",
    "Availability",
}
"""Calls that display their arguments, as those of the project's errors do."""
BUILT_IN_ERRORS = {name for name in dir(builtins) if name.endswith("Error")}
LETTERS = re.compile(r"[A-Za-z]{3}")


def untranslated(source: str) -> Iterator[str]:
    """Iterate over literal texts that are displayed without translation."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            is_error = function.endswith("Error") and function not in BUILT_IN_ERRORS
            arguments = node.args if function in SHOWING or is_error else []
        elif isinstance(node, ast.Return) and node.value is not None:
            arguments = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        else:
            continue
        for argument in arguments:
            text = "".join(
                part.value
                for part in getattr(argument, "values", [argument])
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            sentence = " " in text or not isinstance(node, ast.Return)
            if LETTERS.search(re.sub(r"<property.*?</property>|<[^>]*>|href=\S*", "", text)) and sentence:
                yield f"{text} in line {argument.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "ui.label.setText('Ready now')",
        "def f(): return f'not {x} found'",
        "def f(): return 'the disk is full', _('Make room there.')",
        "Availability(False, 'Select a volume.')",
        "raise InputError(f'{path} cannot be read.', _('Check the file.'))",
    ],
)
def test_untranslated_finds_displayed_literals(source: str) -> None:
    assert len(list(untranslated(source))) == 1
    assert list(untranslated("ui.label.setText(_('Ready now'))\ndef f(): return _('a b c d').format()")) == []


def test_modules_translate_what_they_display() -> None:
    assert len(FILES) > 40
    found = {path.name: list(untranslated(path.read_text(encoding="utf-8"))) for path in FILES}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_ui_files_translate_their_texts() -> None:
    """Only names of classes, parameters and color tables are marked as not to be translated."""
    for path in ROOT.glob(UI_FILES):
        for setting in ElementTree.parse(path).iter("property"):
            text = setting.find("string")
            if text is not None and text.get("notr") == "true":
                assert setting.get("name") == "SlicerParameterName", setting.get("name")


def test_messages_name_buttons_by_their_texts() -> None:
    quoted = {text for path in FILES for text in re.findall("“([^”{]+)”", path.read_text(encoding="utf-8"))}
    displayed = {element.text for path in ROOT.glob(UI_FILES) for element in ElementTree.parse(path).iter("string")}
    displayed |= {text for path in FILES for text in re.findall(r"_\(\"([^\"]+)\"\)", path.read_text(encoding="utf-8"))}
    extensions = {"PyTorch", "QuantitativeReporting"}
    assert {text for text in quoted - displayed - extensions if not text.startswith("pip ")} == set()
