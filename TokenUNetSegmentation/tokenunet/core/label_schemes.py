"""Label schemes: what the values of ground truth files mean."""

from collections.abc import Mapping

from tokenunet.core.regions import ED, ET_LABEL, NCR

LabelValues = Mapping[int, int]
"""Exclusive label (0, NCR, ED or ET = 4) by value in the file."""

BRATS_LABELS: LabelValues = {0: 0, 1: NCR, 2: ED, 3: ET_LABEL, 4: ET_LABEL}
"""Enhancing tumor is 4 before 2023 and 3 since; some copies of old data have been renumbered."""
BRATS_2023_LABELS: LabelValues = {0: 0, 1: NCR, 2: ED, 3: ET_LABEL}
"""A value of 4 is refused: from 2024 on it is the resection cavity."""

LABEL_SCHEMES: Mapping[str, LabelValues] = {
    "brats": BRATS_LABELS,
    "brats2023": BRATS_2023_LABELS,
    "brats2024": {0: 0, 1: NCR, 2: ED, 3: ET_LABEL, 4: 0},
    "brats-ped": {0: 0, 1: ET_LABEL, 2: NCR, 3: NCR, 4: ED},
    "msd": {0: 0, 1: ED, 2: NCR, 3: ET_LABEL},
}
"""Schemes by name: BraTS 2012-2021, 2023, 2024 (4 is the resection cavity), BraTS-PED since 2024 (1 enhancing,
2 non-enhancing, 3 cystic, 4 edema), and the Medical Segmentation Decathlon."""


def described(scheme: str) -> str:
    """Return the description of a scheme, such as ``brats2023 (1 core, 2 edema, 3 enhancing)``."""
    parts = {0: "no tumor", NCR: "core", ED: "edema", ET_LABEL: "enhancing"}
    values = ", ".join(f"{value} {parts[label]}" for value, label in LABEL_SCHEMES[scheme].items() if value)
    return f"{scheme} ({values})"
