"""The language of code and documentation: American spelling, words of the field, Google docstrings."""

import ast
import functools
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("TokenUNetSegmentation", "TokenUNetTraining", "tools", "Resources")
PYTHON = sorted(path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("TokenUNet*/**/*.html")])
PANELS = sorted(ROOT.glob("TokenUNet*/Resources/UI/*.ui"))
OLD_KEYS = ROOT / "TokenUNetSegmentation/tokenunet/core/old_keys.py"

BRITISH = re.compile(
    r"(normal|optim|visual|initial|serial|organ|recogn|general|standard|regular|minim|maxim|random|local|real|quant"
    r"|binar|character|memor|summar|token|penal)is(e|ing|ation|er)"
    r"|synthesis(e|ed|ing)\b|analys(e|ed|ing)\b|colour|tumour|licence|centre|behaviour|neighbour|favour|honour|grey"
    r"|labell|modell|travell|metre|litre|fibre|oedema|haem|artefact|catalogue|learnt|whilst|amongst"
)
IN_HOUSE = {
    r"attention masks?|token(learner|fuser)('s)? masks?|masks of (the )?(attention|token)": "attention map",
    r"(the|its|their|image) looks\b": "image features",
    r"(?<!ground )(?<!ground-)\btruths?\b(?!:)": "ground truth",
    r"\b(told|hears?|heard)\b": "reported, receives",
    r"\b(ladder|rungs?)\b": "fallback chain, fallback",
    r"\blean (forward|path|way)\b": "CPU-optimized forward",
    r"\bstandby\b": "warm worker",
    r"\b(set|sets|setting) aside\b|\bpassed over\b": "excluded, ignored",
    r"\bprocessors?\b": "CPU",
    r"\bpeers?\b|\bceilings?\b": "baselines, hardware peak",
    r"\blearnt\b|\blearned from\b": "trained on",
    r"\bbeside\b": "next to",
    r"\banew\b": "again",
    r"\b(goes|go|went|gone|going) on\b": "continues",
    r"\b(lie|lies|lay|lying)\b": "is located",
    r"\bvariet(y|ies)\b": "domain randomization strength",
    r"\blikeness\b": "tumor score",
    r"(tumor|mask|map)s?[- ]following": "tumor-selective",
    r"\bplaces? to review\b": "review candidates",
    r"\bway back\b": "inverse transform",
    r"\bdisagree(ment|ments)\b": "ensemble uncertainty",
    r"\bdisturb(ed|s|ing)?\b(?!:)": "perturbed",
    r"\bsees to it\b|\b(it|that|they) shall\b|\bwhereof\b|\bthereof\b|\bof a sudden\b": "plain English",
}
"""In-house words, and what a reader of MONAI, nnU-Net or Slicer expects instead."""

ENTRY = re.compile(r"^ {4}\*{0,2}([\w.]+(?: \([^)]*\))?): (\S.*)")
FRAGMENT = re.compile(r"[a-z]")
NOT_IMPERATIVE = {"A", "An", "As", "How", "It", "The", "Those", "What", "When", "Where", "Whether", "Which", "Who"}


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """Return all nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def docstrings(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Iterate over the documented definitions of a file."""
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def prose_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over the comments, docstrings and sentences of a file with their lines."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


@functools.cache
def prose(path: Path) -> list[tuple[int, str]]:
    """Return what people read in a file, with its lines."""
    if path.suffix == ".py":
        return list(prose_of_python(path))
    if path.suffix == ".ui":
        return [(0, node.text or "") for node in ElementTree.parse(path).iter("string")]
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))


def identifiers(path: Path) -> Iterator[str]:
    """Iterate over the names that a file defines, and the keys of its dictionaries."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def json_keys(value: object) -> Iterator[str]:
    """Iterate over the keys of parsed JSON at every depth."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from json_keys(inner)
    if isinstance(value, dict):
        yield from value


def british(text: str) -> str | None:
    """Return the first British spelling of a text."""
    found = BRITISH.search(text.lower())
    return found[0] if found else None


def test_british_spelling_is_recognized() -> None:
    assert british("normaliseVolume") and british("TUMOUR_SHARE") and british("the centre of")
    assert not british("normalize tumor color center synthesis analysis labels license raise promise noise")


def test_identifiers_are_american() -> None:
    paths = [path for path in (*PYTHON, *(ROOT / "Testing").rglob("*.py")) if path not in (OLD_KEYS, Path(__file__))]
    found = [f"{path.relative_to(ROOT)}: {name}" for path in paths for name in identifiers(path) if british(name)]
    assert not found, "\n".join(found)


def test_json_keys_are_american() -> None:
    paths = [path for folder in (*SHIPPED, "Testing") for path in (ROOT / folder).rglob("*.json")]
    for path in paths:
        if "version_0_1" not in path.parts:
            assert not [key for key in json_keys(json.loads(path.read_text(encoding="utf-8"))) if british(key)], path


def test_prose_is_american() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {british(text)}"
        for path in [*PYTHON, *PAGES, *PANELS]
        if path != OLD_KEYS
        for line, text in prose(path)
        if british(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("pattern", IN_HOUSE)
def test_words_are_of_the_field(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]!r}, write {IN_HOUSE[pattern]!r}"
        for path in [*PYTHON, *PAGES, *PANELS]
        for line, text in prose(path)
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_docstring_entries_stand_alone() -> None:
    """Args and Attributes are phrases with a capital letter; Raises say "If ..."."""
    found = []
    for path in PYTHON:
        for node, text in docstrings(path):
            section = ""
            for line in text.splitlines():
                section = line[:-1] if re.fullmatch(r"[A-Z]\w+:", line) else section
                entry = ENTRY.match(line)
                if entry is None or section not in ("Args", "Attributes", "Raises"):
                    continue
                if FRAGMENT.match(entry[2]) or (section == "Raises" and not entry[2].startswith("If ")):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno if hasattr(node, 'lineno') else 0}: {line}")
    assert not found, "\n".join(found)


def test_functions_are_described_in_the_imperative() -> None:
    found = []
    for path in PYTHON:
        for node, text in docstrings(path):
            if not isinstance(node, ast.FunctionDef) or "property" in {ast.unparse(d) for d in node.decorator_list}:
                continue
            if text.split()[0] in NOT_IMPERATIVE:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text.splitlines()[0]}")
    assert not found, "\n".join(found)
