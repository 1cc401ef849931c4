"""Grouping of cases by patient, from the names of their folders and files.

Ambiguous names are grouped: a patient in both training and validation makes every score too good without any other
sign of it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_MOST_TIME_POINTS = 10
"""Largest mean number of cases per patient; above it, numbers in names are those of patients, not of time points."""
_DATE = r"(?:19|20)\d\d[-._ ]?[01]\d[-._ ]?[0-3]\d|[0-3]?\d[-._ ][0-3]?\d[-._ ](?:19|20)\d\d|(?:19|20)\d\d[-._ ][01]\d"
_CLEAR = (
    r"ses(?:sion)?[-_. ]?\w+|(?:week|month|visit|time[-_ ]?point|tp|fu|follow[-_ ]?up|wk)[-_. ]?\d+[a-z]?(?:[-_.]\d+)?"
    r"|\d+[-_. ]?(?:mo|months?|wks?|weeks?|days?|yrs?|years?)"
    r"|baseline|bl|follow[-_ ]?up|fu|initial|recurrence|progression"
    r"|(?:pre|post|intra)(?:[-_ ]?(?:op\w*|surg\w*|treat\w*|rt|tx|rx|therapy|chemo\w*|resection))?[-_. ]?\d*"
)
_NUMBERED = r"(?:w|m|mo|d|day|y|year|v|t|time|scan|exam|study|mri?)[-_. ]?\d+"
_CLEAR_SESSION = re.compile(rf"(?:{_DATE}|{_CLEAR})(?:[-_. ].*)?", re.IGNORECASE)
_NUMBERED_SESSION = re.compile(rf"{_NUMBERED}|\d{{1,3}}", re.IGNORECASE)
"""Names of a session in a patient's folder, or of a patient in a cohort's folder."""
_CLEAR_AT_END = re.compile(rf"(?P<patient>.+?)[-_. ]+(?:{_DATE}|{_CLEAR})", re.IGNORECASE)
_CLEAR_AT_START = re.compile(rf"(?:{_DATE}|{_CLEAR})[-_. ]+(?P<patient>.+)", re.IGNORECASE)
_ENDING = re.compile(
    r"(?P<patient>.+)[-_. ](?P<point>(?!\d{4})[^-_. ]+)|(?P<numbered>.*\d)(?P<letter>[a-z])", re.IGNORECASE
)
"""Name with an ending that may be that of a time point, if other names have the same."""
_NUMBERED_AT_END = re.compile(rf"(?P<patient>.*\d.*?)[-_. ]+(?:{_NUMBERED})", re.IGNORECASE)
_CHALLENGES = (
    re.compile(r"(?P<patient>BraTS-[a-z]+-\d+)-\d+", re.IGNORECASE),  # since 2023
    re.compile(r"(?P<patient>BraTS1[789]_\w+_\w+)_\d", re.IGNORECASE),
)
_NUMBER_AT_END = re.compile(r"(?P<patient>.*\d)[-_. ]\d{1,3}")
_LONG_NUMBER = re.compile(r".*(?:[-_. ]|[a-z])\d{3,}", re.IGNORECASE)
_NOISE = re.compile(r"[-_. ]+(?:nifti|nii|mri|mr)$", re.IGNORECASE)
"""Suffixes of names that mean a file format, as in ``UCSF-PDGM-0429_FU001d_nifti``."""
_KINDS_OF_DATA = {"anat", "images", "mr", "mri", "native", "nifti", "nii", "preprocessed", "processed", "scans"}
"""Names of folders inside a session."""
_COHORT = re.compile(
    r"(?:hgg|lgg|gbm|gliomas?|val)|.*(?:train|test|valid|data|task|site|cent(?:er|re)|hospital|cohort|batch|fold|part|set"
    r"|group|collection|release|brats|fets|clinic|institut|scanner|vendor).*|(?:19|20)\d\d",
    re.IGNORECASE,
)
"""Names of folders of many patients."""
_PATIENT = re.compile(
    r"(?:sub|subj|subject|patient(?:id)?|pat|pt|person|case|id|p)[-_ ]?\w*\d|.*\D\d{3,}|\d{5,}", re.IGNORECASE
)


def patient_of(name: str) -> str:
    """Return the patient in the name of a case; the name itself if it contains no time point.

    Args:
        name: Name of a case.

    Example:
        >>> patient_of("BraTS-GLI-00001-000"), patient_of("sub-01_ses-02"), patient_of("BraTS2021_00000")
        ('BraTS-GLI-00001', 'sub-01', 'BraTS2021_00000')
    """
    for pattern in _CHALLENGES:
        if match := pattern.fullmatch(name):
            return match["patient"]
    name = _NOISE.sub("", name)
    if (match := _CLEAR_AT_START.fullmatch(name)) and _PATIENT.fullmatch(match["patient"]):
        return match["patient"]
    for pattern in (_CLEAR_AT_END, _NUMBERED_AT_END):
        if match := pattern.fullmatch(name):
            return match["patient"]
    return name


def patients_of_names(names: Sequence[str]) -> list[str]:
    """Return the patient of each case of a dataset by its name, with plain numbers at the end taken as time points.

    ``GBM-00001_11`` and ``GBM-00001_21`` are one patient; the numbers in ``BraTS2021_00001`` and ``site1_001`` are not
    time points.

    Endings that several patients share are taken as time points, too, such as those of ``A_first`` and ``A_second``.

    Args:
        names: Names of all cases.
    """
    patients = [patient_of(name) for name in names]
    repeated = _with_repeated_endings([p for name, p in zip(names, patients, strict=True) if p == name])
    patients = [repeated.get(patient, patient) for patient in patients]
    matches = [
        _NUMBER_AT_END.fullmatch(patient) if patient == _NOISE.sub("", name) else None
        for name, patient in zip(names, patients, strict=True)
    ]
    counts = Counter(match["patient"].casefold() for match in matches if match)
    if not counts or counts.total() / len(counts) > _MOST_TIME_POINTS:
        return patients
    several = len(counts) > 1
    return [
        match["patient"] if match and (several or _LONG_NUMBER.fullmatch(match["patient"])) else patient
        for match, patient in zip(matches, patients, strict=True)
    ]


def _with_repeated_endings(names: Sequence[str]) -> dict[str, str]:
    """Return the patient by name, of names whose endings repeat from patient to patient."""
    endings: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        match = _ENDING.fullmatch(name)
        patient, point = (
            (match["patient"] or match["numbered"], match["point"] or match["letter"]) if match else ("", "")
        )
        if patient and not _COHORT.fullmatch(patient) and not _PATIENT.fullmatch(point):
            endings[patient.casefold()][name] = point.casefold()
    several = {patient: own for patient, own in endings.items() if len(set(own.values())) > 1}
    total = sum(map(len, several.values()))
    patients_with = Counter(point for own in several.values() for point in set(own.values()))
    shared = sum(patients_with[point] > 1 for own in several.values() for point in own.values())
    if len(several) < 2 or 2 * shared < total or total / len(several) > _MOST_TIME_POINTS:
        return {}
    return {name: name[: len(patient)] for patient, own in several.items() for name in own}


def names_and_patients(folders: Sequence[tuple[str, ...]], root: str) -> list[tuple[str, str]]:
    """Return the name and the patient of the case in each folder of a dataset.

    Args:
        folders: Path components of each case's folder relative to the dataset's folder; empty for that folder itself.
        root: Name of the dataset's folder.
    """
    plain = [_without_kinds(parts) or (root,) for parts in folders]
    repeated = _parents_of_repeated(plain)
    above = [_patient_above(parts, repeated, root) for parts in plain]
    own = [parts[-1] for parts, patient in zip(plain, above, strict=True) if patient is None]
    by_name = iter(patients_of_names(own))
    found = []
    for parts, patient in zip(plain, above, strict=True):
        if patient is None:
            found.append((parts[-1], next(by_name)))
        else:
            begins_so = parts[-1].casefold().startswith(patient.casefold())
            inner = parts[parts.index(patient) + 1 :] if patient in parts else parts
            found.append((parts[-1] if begins_so else "_".join((patient, *inner)), patient_of(patient)))
    counts = Counter(name.casefold() for name, _ in found)
    return [
        ("_".join(parts) if counts[name.casefold()] > 1 else name, patient)
        for parts, (name, patient) in zip(plain, found, strict=True)
    ]


def same_spelling(patients: Sequence[str]) -> list[str]:
    """Unify the spelling of patients that differ only in upper and lower case.

    Args:
        patients: Patient of each case.

    Example:
        >>> same_spelling(["sub-A", "SUB-a", "sub-B"])
        ['sub-A', 'sub-A', 'sub-B']
    """
    first: dict[str, str] = {}
    return [first.setdefault(patient.casefold(), patient) for patient in patients]


def _without_kinds(parts: tuple[str, ...]) -> tuple[str, ...]:
    while len(parts) > 1 and parts[-1].lower() in _KINDS_OF_DATA:
        parts = parts[:-1]
    return parts


def _patient_above(parts: tuple[str, ...], repeated: set[tuple[str, ...]], root: str) -> str | None:
    """Return the name of the patient's folder above a case's folder; None if the case's own folder is the patient's."""
    above = parts
    while above and names_session(above):
        above = above[:-1]
    if len(above) < len(parts):
        return above[-1] if above else root
    if len(parts) < 2 or _COHORT.fullmatch(parts[-2]) or _CLEAR_SESSION.fullmatch(parts[-2]):
        return None
    if _PATIENT.fullmatch(parts[-1]) and not _PATIENT.fullmatch(parts[-2]):
        return None
    begins_so = parts[-1].casefold().startswith(parts[-2].casefold())
    return parts[-2] if begins_so or parts[:-1] in repeated or _PATIENT.fullmatch(parts[-2]) else None


def names_session(parts: tuple[str, ...]) -> bool:
    """Return whether a folder has the name of a session in a patient's folder, such as ``week-012``.

    Args:
        parts: Path components of the folder relative to the dataset's folder.
    """
    if _CLEAR_SESSION.fullmatch(parts[-1]):
        match = _CLEAR_AT_START.fullmatch(parts[-1])
        return match is None or _PATIENT.fullmatch(match["patient"]) is None
    in_patient = len(parts) > 1 and not _COHORT.fullmatch(parts[-2])
    return in_patient and _NUMBERED_SESSION.fullmatch(parts[-1]) is not None


def _parents_of_repeated(folders: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Return folders whose subfolders mostly share their names, as those of sessions do and of patients do not."""
    inner: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for parts in folders:
        if len(parts) > 1 and not _COHORT.fullmatch(parts[-2]):
            inner[parts[:-1]].append(parts[-1].casefold())
    parents_with = Counter(name for names in inner.values() for name in set(names))
    total = sum(len(names) for names in inner.values())
    shared = sum(parents_with[name] > 1 for names in inner.values() for name in names)
    if len(inner) < 2 or 2 * shared < total or total / len(inner) > _MOST_TIME_POINTS:
        return set()
    return set(inner)
