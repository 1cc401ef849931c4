"""Warning about image files whose names and folders are of several patients or visits."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from os.path import commonpath
from pathlib import Path

from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SequenceName, sequence_named

_STATED = (
    re.compile(r"(?<![a-z])(?:sub|subject)(?:[-_ ]([a-z0-9]+)|(\d+))"),
    re.compile(r"(?<![a-z])(?:ses|session)(?:[-_ ]([a-z0-9]+)|(\d+))"),
    re.compile(r"(?<![a-z])(?:visit|time[-_ ]?point|tp|week|month|day|follow[-_ ]?up|fu)[-_ ]?(\d+)"),
    re.compile(r"(?<!\d)((?:19|20)\d\d)[-._ ]?([01]\d)[-._ ]?([0-3]\d)(?!\d)"),
    re.compile(r"(?<!\d)([0-3]?\d)[-._ ]([0-3]?\d)[-._ ]((?:19|20)\d\d)(?!\d)"),
    re.compile(r"(?<![a-z])(pre|post)[-_ ]?(?:op\w*|surg\w*|rt|treat\w*|therapy)(?![a-z])"),
)
"""Patients, sessions, time points, dates and treatments, as names state them."""
_ID = re.compile(r"[a-z]{0,3}\d+")
_ID_BEHIND = re.compile(r"[a-z]{1,3}\d{3,}")
"""Id that is one after the sequence's name, too, where other numbers describe the scan."""
_NAME = re.compile(r"[^\W\d_]{3,}")
_OF_SCANS = re.compile(
    r"ax\w*|tra\w*|sag\w*|cor\w*|obl\w*|iso\w*|nat\w*|con\w*|gad\w*|pre|post|with\w*|non\w*|anat\w*|brain\w*|bet|raw"
    r"|orig\w*|head|mri|scans?|images?|img|reg\w*|warped|aligned|norm\w*|bias\w*|bfc|strip\w*|skull\w*|deface\w*|mask\w*"
    r"|res\w*|space|vibe|mprage|mpr|tse|fse|fspgr|bravo|cube|tirm|dark|fluid|spin|echo|grad\w*|turbo|fast|fat\w*|sat\w*"
    r"|enh\w*|weighted|seq\w*|series|nifti|nii|dicom|final|new|old|copy|vol\w*|struct\w*|file|nrrd|nhdr|hdr|mh[ad]"
    r"|corr\w*|fix\w*|proc\w*|smooth\w*|denois\w*|filter\w*|reslic\w*|crop\w*|mni|atlas|blade|prop\w*|stir|lava"
    r"|thrive|spgr|ffe|tfe|thin|thick|low|high|hires|repeat|rescan|motion\w*|before|after|early|late|delay\w*|dyn\w*"
    r"|stealth|navi\w*"
)
"""Words that describe a scan rather than a person."""
_YEAR = re.compile(r"(?:19|20)\d\d")


def mixed_names(files: Mapping[SequenceName, Path]) -> list[Finding]:
    """Return a warning if the names or folders of image files are of several patients or visits.

    Args:
        files: Image file by sequence.

    Example:
        >>> (finding,) = mixed_names({"T1": Path("sub-01_T1w.nii.gz"), "T2": Path("sub-02_T2w.nii.gz")})
        >>> finding.message
        'sub-01_T1w.nii.gz (T1) and sub-02_T2w.nii.gz (T2) seem to be of several patients or visits: check the files.'
    """
    if len(files) < 2:
        return []
    top = Path(commonpath([file.absolute().parent for file in files.values()]))
    shown = {s: file.absolute().relative_to(top) for s, file in files.items()}
    texts = {s: unicodedata.normalize("NFC", str(path)).lower() for s, path in shown.items()}
    candidates = [{s: _values(pattern, text) for s, text in texts.items()} for pattern in _STATED]
    differences = (*candidates, _unlike(shown), _odd_one_out(shown))
    found = [{s: own for s, own in values.items() if own} for values in differences]
    differing = next((values for values in found if len(set(values.values())) > 1), None)
    if differing is None:
        return []
    first = {value: sequence for sequence, value in reversed(differing.items())}
    names = " and ".join(f"{shown[sequence]} ({sequence})" for sequence in reversed(first.values()))
    return [Finding("mixed_names", f"{names} seem to be of several patients or visits: check the files.")]


def _values(pattern: "re.Pattern[str]", text: str) -> frozenset[str]:
    """Return what a pattern finds in a path, such as the number of the session."""
    values = frozenset("".join(match.groups("")) for match in pattern.finditer(text))
    return frozenset(value for value in values if sequence_named(value) is None)


def _unlike(paths: Mapping[SequenceName, Path]) -> dict[SequenceName, frozenset[str]]:
    """Return the ids and names in which files differ; empty unless some files share them."""
    own = _own_words({sequence: _ids_and_names(path) for sequence, path in paths.items()})
    # Numbers of series differ from file to file.
    several = max(Counter(own.values()).values()) > 1
    return own if several and all(own.values()) else {}


def _odd_one_out(paths: Mapping[SequenceName, Path]) -> dict[SequenceName, frozenset[str]]:
    """Return the names and years behind the sequence's name if a single file differs from all others, else nothing.

    Words behind the sequence describe the scan more often than the person, so that other differences say little.
    """
    own = _own_words({sequence: _names_behind(path) for sequence, path in paths.items()})
    alike = max(Counter(own.values()).values())
    return own if alike == len(own) - 1 > 1 and all(own.values()) else {}


def _own_words(words: Mapping[SequenceName, frozenset[str]]) -> dict[SequenceName, frozenset[str]]:
    """Return the words that are not those of all files."""
    common = frozenset.intersection(*words.values())
    return {sequence: all_words - common for sequence, all_words in words.items()}


def _names_behind(path: Path) -> frozenset[str]:
    words, first = _words_and_sequence(path)
    behind = words[first + 1 :]
    return frozenset(w for w in behind if _YEAR.fullmatch(w) or (_NAME.fullmatch(w) and not _OF_SCANS.fullmatch(w)))


def _words_and_sequence(path: Path) -> tuple[list[str], int]:
    """Return the words of a file's name, and the place of the one that names the sequence; 0 if none does."""
    words = re.split(r"[\W_]+", path.name.lower())
    return words, next((k for k, word in enumerate(words) if sequence_named(word) is not None), 0)


def _ids_and_names(path: Path) -> frozenset[str]:
    """Return the words of a path that may be of a person, which mostly precede the sequence's name."""
    folders = [part for part in path.parts[:-1] if sequence_named(part) is None]
    words, first = _words_and_sequence(path)
    before = [*(word for part in folders for word in re.split(r"[\W_]+", part.lower())), *words[:first]]
    found = {w for w in before if _ID.fullmatch(w) or (_NAME.fullmatch(w) and not _OF_SCANS.fullmatch(w))}
    return frozenset(found.union(word for word in words[first:] if _ID_BEHIND.fullmatch(word)))
