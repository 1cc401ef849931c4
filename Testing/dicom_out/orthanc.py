"""A real Orthanc archive, of Debian's packages `orthanc` and `orthanc-dicomweb`, in a process of its own."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_S = 60

needs_orthanc = pytest.mark.skipif(
    shutil.which("Orthanc") is None or not _PLUGIN.exists(),
    reason="Orthanc is not installed: sudo make archive",
)


@dataclass(frozen=True)
class Orthanc:
    """Running archive, which stores what TOKENUNET sends to ARCHIVE.

    Attributes:
        url: Address of its own service.
        dicom_port: Port for C-STORE.
    """

    url: str
    dicom_port: int

    def uids(self) -> list[str]:
        """SOP instance UIDs of all objects."""
        instances = requests.get(f"{self.url}/instances?expand", timeout=10).json()
        return sorted(instance["MainDicomTags"]["SOPInstanceUID"] for instance in instances)

    def clear(self) -> None:
        """Delete all objects."""
        for patient in requests.get(f"{self.url}/patients", timeout=10).json():
            requests.delete(f"{self.url}/patients/{patient}", timeout=10)

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """Return the file of an object, as DICOMweb gives it back in its own transfer syntax."""
        answer = requests.get(
            f"{self.url}/dicom-web/studies/{study}/series/{series}/instances/{instance}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            timeout=10,
        )
        answer.raise_for_status()
        boundary = answer.content[: answer.content.index(b"\r\n")]
        start = answer.content.index(b"\r\n\r\n") + 4
        return answer.content[start : answer.content.rindex(b"\r\n" + boundary)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start an archive that keeps its objects in a folder, and stop it at the end."""
    http, dicom = free_port(), free_port()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(_PLUGIN)],
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ARCHIVE",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"sender": ["TOKENUNET", "127.0.0.1", free_port()]},
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(["Orthanc", folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        orthanc = Orthanc(f"http://127.0.0.1:{http}", dicom)
        until = time.monotonic() + _START_S
        while time.monotonic() < until and process.poll() is None:
            try:
                requests.get(f"{orthanc.url}/dicom-web/studies", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        else:
            pytest.fail(f"Orthanc does not run: {(folder / 'log.txt').read_text()}")
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)
