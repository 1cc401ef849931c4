"""What the values of ground truth files mean: the schemes that people can name."""

from collections.abc import Mapping

from tokenunet.core.regions import ED, ET_LABEL, NCR

LabelValues = Mapping[int, int]
"""Exclusive label (0, NCR, ED or ET = 4) by the value in the file."""

BRATS_LABELS: LabelValues = {0: 0, 1: NCR, 2: ED, 3: ET_LABEL, 4: ET_LABEL}
"""Before 2023, enhancing tumor was 4, since then 3; some copies of old data have been renumbered."""
BRATS_2023_LABELS: LabelValues = {0: 0, 1: NCR, 2: ED, 3: ET_LABEL}
"""Here 4 is refused: from 2024 on it is the resection cavity."""

LABEL_SCHEMES: Mapping[str, LabelValues] = {
    "brats": BRATS_LABELS,
    "brats2023": BRATS_2023_LABELS,
    "brats2024": {0: 0, 1: NCR, 2: ED, 3: ET_LABEL, 4: 0},
    "brats-ped": {0: 0, 1: ET_LABEL, 2: NCR, 3: NCR, 4: ED},
    "msd": {0: 0, 1: ED, 2: NCR, 3: ET_LABEL},
}
"""What people can say that the values mean: of BraTS 2012-2021, 2023, 2024 (4 is the resection cavity), of BraTS-PED
since 2024 (1 enhancing, 2 non-enhancing, 3 cystic, 4 edema), and of the Medical Segmentation Decathlon."""


def described(scheme: str) -> str:
    """Return a scheme as people read it, such as ``brats2023 (1 core, 2 edema, 3 enhancing)``."""
    parts = {0: "no tumor", NCR: "core", ED: "edema", ET_LABEL: "enhancing"}
    values = ", ".join(f"{value} {parts[label]}" for value, label in LABEL_SCHEMES[scheme].items() if value)
    return f"{scheme} ({values})"
