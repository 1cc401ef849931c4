"""UIDs that depend only on what is exported, so that an archive stores an unchanged result once."""

from collections.abc import Iterable
from uuid import NAMESPACE_OID, uuid5

import highdicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_NEW_ROOT = "1.2.826.0.1.3680043.10.511.3."
"""Beginning of the UIDs that highdicom generates."""


def make_uids_stable(objects: Iterable[Dataset], content: str, sources: Iterable[Dataset]) -> None:
    """Replace the generated UIDs of DICOM objects, and all references to them.

    Args:
        objects: New objects, in an order that is always the same.
        content: Digest of all that the objects depend on; another one gives other UIDs.
        sources: Objects that the new ones refer to, whose UIDs stay.
    """
    stable: dict[str, str] = {str(uid): str(uid) for source in sources for uid in _uids(source)}

    def replace(_dataset: Dataset, element: DataElement) -> None:
        if element.VR == "UI" and str(element.value).startswith(_NEW_ROOT):
            uid = highdicom.UID.from_uuid(str(uuid5(NAMESPACE_OID, f"{content} {len(stable)}")))
            element.value = stable.setdefault(str(element.value), uid)

    for dataset in objects:
        dataset.walk(replace)
        dataset.file_meta.walk(replace)


def _uids(source: Dataset) -> Iterable[str]:
    return (source.SOPInstanceUID, source.SeriesInstanceUID, source.StudyInstanceUID, source.FrameOfReferenceUID)
