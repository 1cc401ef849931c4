"""Stand-in for Slicer's DICOM database and for the import of its Python package DICOMLib.

It knows the files of instances and copies what is imported, as the application's does; it has no tables of patients.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pydicom


class DicomDatabase:
    """Database in a folder.

    Args:
        folder: Folder to which imported files are copied.
    """

    isOpen = True  # noqa: N815  as in the application, a property

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}

    def add(self, file: Path) -> None:
        """Add a file where it is."""
        self._files[str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)] = file

    def fileForInstance(self, uid: str) -> str:
        """Return the file of an instance; empty if it is unknown."""
        return str(self._files.get(uid, ""))

    def instanceValue(self, uid: str, tag: str) -> str:
        """Return the value of a tag ("GGGG,EEEE"); empty if the instance or the tag is unknown."""
        if uid not in self._files:
            return ""
        group, element = (int(part, 16) for part in tag.split(","))
        header = pydicom.dcmread(self._files[uid], stop_before_pixels=True)
        return str(header[group, element].value) if (group, element) in header else ""

    def import_folder(self, folder: str) -> None:
        """Copy the files of a folder into the database."""
        self._folder.mkdir(exist_ok=True)
        for file in sorted(Path(folder).iterdir()):
            uid = str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
            self._files[uid] = Path(shutil.copy(file, self._folder / f"{uid}.dcm"))


@contextmanager
def open_database(folder: Path) -> Iterator[DicomDatabase]:
    """Give the application a database, and DICOMLib's import, for a while."""
    import slicer

    def import_dicom(folder: str, database: DicomDatabase, copy_files: bool) -> bool:
        assert copy_files
        database.import_folder(folder)
        return True

    library = ModuleType("DICOMLib")
    library.DICOMUtils = SimpleNamespace(importDicom=import_dicom)  # type: ignore[attr-defined]
    slicer.dicomDatabase = DicomDatabase(folder)
    sys.modules["DICOMLib"] = library
    try:
        yield slicer.dicomDatabase
    finally:
        del slicer.dicomDatabase, sys.modules["DICOMLib"]
