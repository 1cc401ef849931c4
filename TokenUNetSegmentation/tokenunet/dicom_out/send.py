"""Transfer of DICOM files to an archive by C-STORE or STOW-RS.

Files are sent as they are, one after the other, so that sending them again after an error makes no doubles: an archive
tells an object that it holds already by its SOP instance UID.
"""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from tokenunet.core.errors import (
    RefusedError,
    SendError,
    SendTimeoutError,
    UnreachableNodeError,
    UnreadableImageError,
    UsageError,
)
from tokenunet.dicom_out.destination import DimseNode, WebNode
from tokenunet.io.files import files_below

TIMEOUT_S = 30.0
_ONE_REQUEST = 2**40
"""Larger than any object: servers that do not take chunked requests are sent none."""
_NO_SPACE = range(0xA700, 0xA800)
_WARNINGS = range(0xB000, 0xC000)
_REJECTIONS = {3: "does not know the sender's AE title “{calling}”", 7: "has another AE title than “{called}”"}
"""Reasons of the service user to reject an association (PS3.8, 9.3.4)."""


def send(
    paths: Iterable[Path],
    node: DimseNode | WebNode,
    timeout_s: float = TIMEOUT_S,
    on_fraction: Callable[[float], None] = lambda fraction: None,
) -> int:
    """Send DICOM files to an archive.

    Args:
        paths: DICOM files, and folders that hold nothing else.
        node: Archive.
        timeout_s: Longest time that the archive may take for an answer, in seconds.
        on_fraction: Callback that receives the finished share, from 0 to 1.

    Returns:
        Number of objects that the archive has stored.

    Raises:
        UsageError: If there is no file.
        UnreadableImageError: If a file is missing or not DICOM; nothing is sent then.
        UnreachableNodeError: If nothing answers at the archive's address.
        SendTimeoutError: If the archive does not answer in time.
        RefusedError: If the archive refuses the connection or an object.
        SendError: If the connection breaks, or the archive has no space.
    """
    files = [file for path in paths for file in (sorted(files_below(path)) if path.is_dir() else [path])]
    if not files:
        raise UsageError("There is nothing to send.", "Name DICOM files, or a folder with some.")
    headers = [_read(file, stop_before_pixels=True) for file in files]
    if isinstance(node, WebNode):
        _send_by_stow(files, node, timeout_s, on_fraction)
    else:
        _send_by_c_store(files, headers, node, timeout_s, on_fraction)
    return len(files)


def _read(file: Path, stop_before_pixels: bool = False) -> Dataset:
    try:
        return pydicom.dcmread(file, stop_before_pixels=stop_before_pixels)
    except FileNotFoundError as error:
        raise UnreadableImageError(f"There is no file or folder {file}.", "Check the path.") from error
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableImageError(f"{file} cannot be read as DICOM.", "Send DICOM files only.") from error


def _so_far(number: int, total: int) -> str:
    return f"{number} of {total} objects were stored; send all of them again, which makes no doubles."


def _send_by_c_store(
    files: Sequence[Path],
    headers: Sequence[Dataset],
    node: DimseNode,
    timeout_s: float,
    on_fraction: Callable[[float], None],
) -> None:
    _check_address(node, timeout_s)
    entity = AE(ae_title=node.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = timeout_s
    for kind, syntax in sorted({(h.SOPClassUID, h.file_meta.TransferSyntaxUID) for h in headers}):
        entity.add_requested_context(kind, [syntax])
    association = entity.associate(node.host, node.port, ae_title=node.called)
    try:
        if not association.is_established:
            raise _no_association(association, node, timeout_s)
        for number, (file, header) in enumerate(zip(files, headers, strict=True)):
            _store(association, file, header, node, _so_far(number, len(files)), timeout_s)
            on_fraction((number + 1) / len(files))
    finally:
        if association.is_established:
            association.release()


def _check_address(node: DimseNode, timeout_s: float) -> None:
    """Raise an error that says why there is no connection, which pynetdicom does not tell."""
    try:
        socket.create_connection((node.host, node.port), timeout_s).close()
    except OSError as error:
        raise UnreachableNodeError(
            f"{node} cannot be reached: {error.strerror or error}.", "Check host, port and network, and send again."
        ) from error


def _no_association(association: Association, node: DimseNode, timeout_s: float) -> SendError:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = _REJECTIONS.get(answer.diagnostic) if answer.result_source == 1 else None
        text = reason.format(called=node.called, calling=node.calling) if reason else f"says “{answer.reason_str}”"
        return RefusedError(f"{node} refused the connection: it {text}.", "Correct the AE titles, or ask its keeper.")
    return SendTimeoutError(
        f"{node} did not answer as a DICOM archive within {timeout_s:g} s.", "Check host and port, and send again."
    )


def _store(
    association: Association, file: Path, header: Dataset, node: DimseNode, so_far: str, timeout_s: float
) -> None:
    began = time.monotonic()
    try:
        status = association.send_c_store(file)
    except ValueError as error:  # no presentation context was accepted
        name = pydicom.uid.UID(header.SOPClassUID).name
        raise RefusedError(f"{node} takes no objects of the kind “{name}”: {file}.", so_far) from error
    except RuntimeError as error:
        raise SendError(f"The connection to {node} broke at {file}.", so_far) from error
    if "Status" not in status and time.monotonic() - began < timeout_s:
        text = f"{node} broke off the connection at {file}; it may take nothing from “{node.calling}”."
        raise RefusedError(text, so_far)
    if "Status" not in status:
        raise SendTimeoutError(f"{node} did not answer within {timeout_s:g} s to {file}.", so_far)
    if status.Status in _NO_SPACE:
        raise SendError(f"{node} has no space for {file}.", so_far)
    if status.Status and status.Status not in _WARNINGS:
        comment = str(status.get("ErrorComment", "")) or f"status {status.Status:04X}"
        raise RefusedError(f"{node} refused {file}: {comment}.", so_far)


def _send_by_stow(files: Sequence[Path], node: WebNode, timeout_s: float, on_fraction: Callable[[float], None]) -> None:
    client = DICOMwebClient(node.url, chunk_size=_ONE_REQUEST, timeout=timeout_s)
    client.set_http_retry_params(retry=False)
    for number, file in enumerate(files):
        so_far = _so_far(number, len(files))
        try:
            answer = client.store_instances([_read(file)])
        except requests.Timeout as error:
            raise SendTimeoutError(f"{node} did not answer within {timeout_s:g} s to {file}.", so_far) from error
        except requests.HTTPError as error:
            raise RefusedError(f"{node} refused {file}: {error}.", so_far) from error
        except (requests.ConnectionError, OSError) as error:
            raise UnreachableNodeError(
                f"{node} cannot be reached.", f"Check the address and the network. {so_far}"
            ) from error
        if answer.get("FailedSOPSequence"):
            code = answer.FailedSOPSequence[0].get("FailureReason", 0)
            raise RefusedError(f"{node} refused {file}: status {code:04X}.", so_far)
        on_fraction((number + 1) / len(files))
