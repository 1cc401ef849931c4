"""Sending by C-STORE and STOW-RS, to a real Orthanc and to archives that refuse."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_fixtures import MADE, write_dicom_study
from orthanc import Orthanc, free_port, needs_orthanc, running_orthanc
from pynetdicom import AE, AllStoragePresentationContexts, evt
from scan_fixtures import blobs, synthetic_images
from tokenunet.cli import main
from tokenunet.core.errors import (
    RefusedError,
    SendError,
    SendTimeoutError,
    UnreachableNodeError,
    UnreadableImageError,
    UsageError,
)
from tokenunet.core.grid import Grid
from tokenunet.dicom_out.destination import DimseNode, WebNode, parse_destination
from tokenunet.dicom_out.export import DicomResult, write_dicom_result
from tokenunet.dicom_out.send import send


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """SEG, SR and SC of one patient."""
    scan = synthetic_images()["T1ce"]
    source = write_dicom_study(tmp_path_factory.mktemp("study"))["T1ce"]
    result = DicomResult(scan, np.asarray(blobs(Grid.of(scan)) > 0.5), source, "Tiny Token-UNet", "1", MADE)
    return write_dicom_result(result, tmp_path_factory.mktemp("dicom"))


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


def uid_of(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)


def dataset_bytes(file: bytes) -> bytes:
    """What follows the file meta information, which names the program that wrote the file."""
    assert file[128:132] == b"DICM"
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]


@needs_orthanc
@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_orthanc_gives_back_what_was_sent_once(
    way: str, orthanc: Orthanc, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    orthanc.clear()
    to = {"C-STORE": f"ARCHIVE@127.0.0.1:{orthanc.dicom_port}", "STOW-RS": f"{orthanc.url}/dicom-web"}[way]
    for _again in range(2):
        assert main(["send", str(files[0].parent), "--to", to, "--progress", "none"]) == 0
        assert f"has stored {len(files)} objects" in capsys.readouterr().out
        assert orthanc.uids() == sorted(map(uid_of, files))
    for file in files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        found = orthanc.retrieve(header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
        assert dataset_bytes(found) == dataset_bytes(file.read_bytes())


@needs_orthanc
@pytest.mark.parametrize(
    ("called", "calling", "words"),
    [("WRONG", "TOKENUNET", "another AE title than “WRONG”"), ("ARCHIVE", "NOBODY", "may take nothing from “NOBODY”")],
)
def test_orthanc_refuses_wrong_ae_titles(
    orthanc: Orthanc, files: list[Path], called: str, calling: str, words: str
) -> None:
    orthanc.clear()
    with pytest.raises(RefusedError, match=words):
        send(files, DimseNode("127.0.0.1", orthanc.dicom_port, called, calling), 10)
    assert orthanc.uids() == []


@needs_orthanc
def test_orthanc_has_no_dicomweb_elsewhere(orthanc: Orthanc, files: list[Path]) -> None:
    with pytest.raises(RefusedError, match="404"):
        send(files, WebNode(f"{orthanc.url}/no-such-path"), 10)


@pytest.mark.parametrize("to", ["ARCHIVE@127.0.0.1:{port}", "http://127.0.0.1:{port}/dicom-web"])
def test_send_to_nobody_says_so(to: str, files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    node = parse_destination(to.format(port=free_port()))
    with pytest.raises(UnreachableNodeError, match=r"cannot be reached") as error:
        send(files, node, 5)
    assert error.value.hint
    assert main(["send", str(files[0]), "--to", str(node), "--timeout", "5"]) == 6
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["ARCHIVE@127.0.0.1:{port}", "http://127.0.0.1:{port}/dicom-web"])
def test_send_to_a_silent_host_ends_in_time(to: str, files: list[Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = parse_destination(to.format(port=silent.getsockname()[1]))
        with pytest.raises(SendTimeoutError, match=r"within 0.5 s"):
            send(files, node, 0.5)


def test_send_can_be_repeated_when_the_archive_had_no_space(files: list[Path]) -> None:
    answers = [0x0000, 0xA700] + [0x0000] * len(files)
    stored: list[str] = []

    def store(event: evt.Event) -> int:
        status = answers.pop(0)
        if not status:
            stored.append(event.dataset.SOPInstanceUID)
        return status

    entity = AE("FULL")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        node = DimseNode("127.0.0.1", server.server_address[1], "FULL")
        with pytest.raises(SendError, match="has no space") as error:
            send(files, node, 10)
        assert error.value.hint.startswith(f"1 of {len(files)} objects were stored")
        send(files, node, 10)
    finally:
        server.shutdown()
    assert set(stored) == set(map(uid_of, files))
    assert all(file.is_file() for file in files)


def test_send_takes_dicom_files_only(tmp_path: Path, files: list[Path]) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no DICOM")
    with pytest.raises(UnreadableImageError, match=r"notes\.txt"):
        send([*files, notes], DimseNode("127.0.0.1", free_port(), "ARCHIVE"))
    with pytest.raises(UnreadableImageError, match="no file or folder"):
        send([tmp_path / "gone"], DimseNode("127.0.0.1", free_port(), "ARCHIVE"))
    with pytest.raises(UsageError, match="nothing to send"):
        send([tmp_path / "empty"] if (tmp_path / "empty").mkdir() else [], DimseNode("127.0.0.1", 104, "ARCHIVE"))


@pytest.mark.parametrize("text", ["archive", "ARCHIVE@host", "A@host:0", "ftp://host/x", f"{'A' * 17}@host:104", ""])
def test_destination_is_an_archive(text: str) -> None:
    with pytest.raises(UsageError):
        parse_destination(text)


def test_destination_knows_both_ways() -> None:
    assert parse_destination("ARCHIVE@[::1]:104", "ME") == DimseNode("::1", 104, "ARCHIVE", "ME")
    assert parse_destination(" https://host/dicom-web/ ") == WebNode("https://host/dicom-web")
