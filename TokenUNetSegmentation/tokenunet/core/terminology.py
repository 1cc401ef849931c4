"""Titles, colors and DICOM codes of the segments, for files, scenes and reports alike.

The codes are DICOM's for lesions of the brain (PS3.16, context groups CID 7159, 7168 and 7169), which have a single
concept for necrosis and non-enhancing tumor, and a concept for enhancing lesions in the NCI Thesaurus only.
The colors are Okabe and Ito's, distinguishable with any color vision; an exclusive label has the color that the nested
regions have at the same place.
"""

from dataclasses import dataclass
from typing import Literal

from tokenunet.core.regions import ED, ET_LABEL, NCR, REGION_TITLES, REGIONS, RegionName

LabelName = Literal["NCR", "ED", "ET"]


@dataclass(frozen=True)
class Code:
    """Coded concept, as in DICOM.

    Attributes:
        scheme: Coding scheme designator, such as ``SCT``.
        value: Code value within the scheme.
        meaning: Code meaning for people.
    """

    scheme: str
    value: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


CATEGORY = Code("SCT", "49755003", "Morphologically Altered Structure")
ANATOMY = Code("SCT", "12738006", "Brain")
_CATEGORY_CONTEXT = "Segmentation category and type - DICOM master list"
_ANATOMY_CONTEXT = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class SegmentStyle:
    """Title, color and meaning of a segment.

    Attributes:
        title: Name for people.
        color: Red, green and blue from 0 to 1.
        code: Type of the finding, within `CATEGORY` and `ANATOMY`.
        label: Value in an exclusive labelmap; 0 for a nested region, which has none.
    """

    title: str
    color: tuple[float, float, float]
    code: Code
    label: int = 0

    @property
    def terminology_entry(self) -> str:
        """Terminology entry of the segment, as Slicer serializes it."""
        no_code = "^^"
        return "~".join(
            (_CATEGORY_CONTEXT, str(CATEGORY), str(self.code), no_code, _ANATOMY_CONTEXT, str(ANATOMY), no_code)
        )


_SKY_BLUE = (86 / 255, 180 / 255, 233 / 255)
_YELLOW = (240 / 255, 228 / 255, 66 / 255)
_VERMILION = (213 / 255, 94 / 255, 0.0)
_ENHANCING_LESION = Code("NCIt", "C113842", "Enhancing Lesion")

REGION_STYLES: dict[RegionName, SegmentStyle] = {
    name: SegmentStyle(REGION_TITLES[name], color, code)
    for name, color, code in zip(
        REGIONS,
        (_SKY_BLUE, _YELLOW, _VERMILION),
        (Code("SCT", "4147007", "Mass"), Code("SCT", "108369006", "Neoplasm"), _ENHANCING_LESION),
        strict=True,
    )
}

LABEL_STYLES: dict[LabelName, SegmentStyle] = {
    "NCR": SegmentStyle("necrotic core", _YELLOW, Code("SCT", "6574001", "Necrosis"), NCR),
    "ED": SegmentStyle("edema", _SKY_BLUE, Code("SCT", "79654002", "Edema"), ED),
    "ET": SegmentStyle(REGION_TITLES["ET"], _VERMILION, _ENHANCING_LESION, ET_LABEL),
}
