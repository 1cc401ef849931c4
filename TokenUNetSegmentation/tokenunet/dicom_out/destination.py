"""Archives to which DICOM objects are sent, as users write them."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tokenunet.core.errors import UsageError

CALLING_AE_TITLE = "TOKENUNET"
_LONGEST_AE_TITLE = 16
_DIMSE = re.compile(r"(?P<title>[^@]+)@(?P<host>[^@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class DimseNode:
    """Archive that takes objects by C-STORE.

    Attributes:
        host: Name or IP address of the computer.
        port: Port of its DICOM service.
        called: AE title of the archive.
        calling: AE title under which objects are sent.
    """

    host: str
    port: int
    called: str
    calling: str = CALLING_AE_TITLE

    def __str__(self) -> str:
        return f"{self.called}@{self.host}:{self.port}"


@dataclass(frozen=True)
class WebNode:
    """Archive that takes objects by STOW-RS.

    Attributes:
        url: Address of its DICOMweb service.
    """

    url: str

    def __str__(self) -> str:
        return self.url


def parse_destination(text: str, calling: str = CALLING_AE_TITLE) -> DimseNode | WebNode:
    """Return the archive that a text names.

    Args:
        text: ``AE_TITLE@HOST:PORT`` for C-STORE, or an ``http://`` or ``https://`` address for STOW-RS.
        calling: AE title under which objects are sent by C-STORE.

    Raises:
        UsageError: If the text is neither, or an AE title has more than 16 characters.

    Example:
        >>> parse_destination("ARCHIVE@pacs.hospital:104").called
        'ARCHIVE'
        >>> parse_destination("https://pacs.hospital/dicom-web").url
        'https://pacs.hospital/dicom-web'
    """
    text = text.strip()
    if urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname:
        return WebNode(text.rstrip("/"))
    match = _DIMSE.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise UsageError(
            f"“{text}” names no archive.",
            "Write AE_TITLE@HOST:PORT for C-STORE, or https://HOST/PATH for DICOMweb.",
        )
    for title in (match["title"], calling):
        if not 0 < len(title.strip()) <= _LONGEST_AE_TITLE or not title.isascii() or "\\" in title:
            raise UsageError(f"“{title}” is no AE title.", f"It has up to {_LONGEST_AE_TITLE} letters and digits.")
    return DimseNode(match["host"].strip("[]"), int(match["port"]), match["title"].strip(), calling.strip())
