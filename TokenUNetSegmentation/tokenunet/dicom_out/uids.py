"""Files of new DICOM objects, whose UIDs depend only on their content: archives store an unchanged result once."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from io import BytesIO
from itertools import groupby
from uuid import NAMESPACE_OID, uuid5

import highdicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_NEW_ROOT = "1.2.826.0.1.3680043.10.511.3."
"""Beginning of the UIDs that highdicom generates."""
_WRITTEN = {
    "ContentDate": "%Y%m%d",
    "ContentTime": "%H%M%S",
    "ContributionDateTime": "%Y%m%d%H%M%S",
    "DateOfSecondaryCapture": "%Y%m%d",
    "InstanceCreationDate": "%Y%m%d",
    "InstanceCreationTime": "%H%M%S",
    "TimeOfSecondaryCapture": "%H%M%S",
}
"""Attributes that highdicom sets to the time of writing."""


def encode_stably(objects: Mapping[str, Dataset], sources: Iterable[Dataset], made: datetime) -> dict[str, bytes]:
    """Return the contents of the files of new DICOM objects, equal for equal objects.

    Generated UIDs, and all references to them, are replaced by a digest of the series that they are first used in. Two
    files with one UID are therefore equal byte for byte.

    Args:
        objects: New objects by file name, those of a series next to each other, and after those that they refer to.
        sources: Objects that the new ones refer to, whose UIDs stay.
        made: Time at which the result was made, which replaces that of writing.
    """
    local = made.astimezone()  # as the times of scanners are
    final = {uid: uid for source in sources for uid in map(str, _uids(source))}
    files: dict[str, bytes] = {}
    for _, members in groupby(objects.items(), key=lambda item: item[1].SeriesInstanceUID):
        series = dict(members)
        elements: list[tuple[DataElement, str]] = []
        numbers: dict[str, int] = {}

        def visit(
            _dataset: Dataset,
            element: DataElement,
            elements: list[tuple[DataElement, str]] = elements,
            numbers: dict[str, int] = numbers,
        ) -> None:
            if element.keyword in _WRITTEN:
                element.value = local.strftime(_WRITTEN[element.keyword])
            uid = str(element.value) if element.VR == "UI" else ""
            if uid in final:
                element.value = final[uid]
            elif uid.startswith(_NEW_ROOT):
                elements.append((element, uid))
                element.value = f"2.25.{numbers.setdefault(uid, len(numbers) + 1)}"

        for dataset in series.values():
            dataset.walk(visit)
            dataset.file_meta.walk(visit)
        digest = hashlib.sha256(b"".join(map(_encoded, series.values()))).hexdigest()
        for element, uid in elements:
            stable = highdicom.UID.from_uuid(str(uuid5(NAMESPACE_OID, f"{digest} {numbers[uid]}")))
            element.value = final.setdefault(uid, stable)
        files |= {name: _encoded(dataset) for name, dataset in series.items()}
    return files


def _encoded(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _uids(source: Dataset) -> Iterable[str]:
    return (source.SOPInstanceUID, source.SeriesInstanceUID, source.StudyInstanceUID, source.FrameOfReferenceUID)
