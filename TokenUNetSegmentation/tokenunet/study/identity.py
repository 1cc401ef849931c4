"""Identity of patients by DICOM tags, whose ids and names may be missing, dummies, or written differently."""

import re
from collections.abc import Iterable
from itertools import combinations

from tokenunet.core.contrast_words import latin
from tokenunet.core.errors import MixedPatientsError
from tokenunet.study.dicom_tags import DicomTags

_DUMMY = re.compile(
    r"[\W0_]*|(anon[a-z]*|unknown|none|no ?name|n/?a|patient|test|phantom|dummy|removed|hidden)[\W0_]*", re.IGNORECASE
)
"""Ids and names that anonymizers write for everybody."""


def check_one_person(images: Iterable[DicomTags]) -> None:
    """Check that images may be of one person.

    Args:
        images: Tags of the images; empty values, and those that anonymizers write for everybody, are not compared.

    Raises:
        MixedPatientsError: If two of them differ in the patient's id or birth date, or, without an id, in name or sex.
    """
    people = {(tags.patient_id, tags.birth_date, tags.patient_name, tags.sex) for tags in images}
    for one, other in combinations(sorted(people), 2):
        ids = [_known(person[0]) for person in (one, other)]
        other_id = all(ids) and ids[0].lstrip("0") != ids[1].lstrip("0")  # some systems drop leading zeros
        other_birth = bool(one[1] and other[1]) and one[1] != other[1]
        same_id = bool(ids[0]) and ids[0] == ids[1]
        if (
            other_id
            or other_birth
            or (not same_id and (_other_name(one[2], other[2]) or {one[3], other[3]} == {"M", "F"}))
        ):
            named = [person[0] if other_id else " ".join(filter(None, person)) for person in (one, other)]
            raise MixedPatientsError(
                f"The images are of 2 patients: {named[0]}, {named[1]}.",
                "Choose a folder with the study of one patient.",
            )


def _known(text: str) -> str:
    """Return an id in lower case; empty if it is a dummy."""
    return "" if _DUMMY.fullmatch(text) else text.strip().lower()


def _other_name(one: str, other: str) -> bool:
    """Return whether two names differ by more than order, accents, titles and other scripts."""
    words = [set(re.findall(r"\w+", latin(name.split("=")[0]))) for name in (one, other) if not _DUMMY.fullmatch(name)]
    return len(words) == 2 and all(words) and not (words[0] <= words[1] or words[1] <= words[0])
