"""What importers make of a foreign model."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import Tensor

from tokenunet.bundle.importers.archive import ModelFiles
from tokenunet.bundle.manifest import Channel, ModelManifest
from tokenunet.core.errors import ModelError
from tokenunet.core.sequences import ALIASES, sequence_named


@dataclass(frozen=True)
class ForeignModel:
    """A foreign model in the terms of a bundle.

    Attributes:
        manifest: Its manifest, except for members and checksum.
        members: Weights of each network.
    """

    manifest: ModelManifest
    members: tuple[dict[str, Tensor], ...]


def channel_of(name: object, source: str) -> Channel:
    """Return the channel that a foreign name speaks of.

    Raises:
        ModelError: If the name has no letters.
    """
    text = str(name)
    sequence = sequence_named(text)
    if sequence is not None:
        return Channel(sequence, ALIASES[sequence])
    plain = re.sub(r"[^A-Za-z0-9+-]+", "-", text).strip("-")[:32]
    if not re.match(r"[A-Za-z]", plain):
        raise ModelError(f"{source} names a channel {text!r}.", "Name its channels as T1, T1ce, T2 and FLAIR.")
    return Channel(plain)


def described_origin(files: ModelFiles, framework: str) -> dict[str, Any]:
    """Return where a model came from, for its card."""
    return {
        "framework": framework,
        "imported_from": Path(files.source).name,
        "imported_on": datetime.now(UTC).date().isoformat(),
    }
