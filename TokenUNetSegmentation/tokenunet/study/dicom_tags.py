"""DICOM tags that describe how a series was acquired."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_HALF_A_DAY = 12
"""Hours by which an acquisition precedes its series only if it began after midnight."""


@dataclass(frozen=True)
class DicomTags:
    """Tags of a series that tell how it was acquired.

    A tag that is missing is an empty text or None. Times are in milliseconds, and angles in degrees; a 0 counts as
    missing, as scanners write it for what does not apply.

    Attributes:
        description: Description of the series, which is free text.
        protocol: Name of the protocol, which may be that of the whole examination.
        sequence_name: Vendor's name of the pulse sequence.
        scanning_sequence: Codes of the pulse sequence, such as SE, GR, IR and EP.
        acquisition_type: Dimensions of the acquisition, "2D" or "3D".
        acquisition_contrast: Contrast of enhanced MR: T1, T2, FLUID_ATTENUATED, DIFFUSION and others.
        image_type: Values of the image type, such as ORIGINAL and PRIMARY.
        echo_time: Echo time.
        repetition_time: Repetition time.
        inversion_time: Inversion time.
        flip_angle: Flip angle.
        b_value: Diffusion weighting in s/mm².
        contrast_agent: Name of the contrast agent.
        body_part: Body part examined.
        modality: Modality, "MR" for scans.
        sop_class: UID of the SOP class.
        burned_in: Whether text is drawn into the image.
        patient_id: Patient's id.
        patient_name: Patient's name.
        birth_date: Patient's birth date.
        sex: Patient's sex, such as M or F.
        study_uid: UID of the study.
        study_date: Date of the study, YYYYMMDD.
        study_time: Time of the study, HHMMSS.
        frame_uid: UID of the frame of reference, which changes when the patient is moved.
        series_number: Number of the series in its study.
        acquired: Date and time of acquisition as digits, which sort in the order of time.
        temporal_position: Number of the volume among those that one series repeats.
    """

    description: str = ""
    protocol: str = ""
    sequence_name: str = ""
    scanning_sequence: tuple[str, ...] = ()
    acquisition_type: str = ""
    acquisition_contrast: str = ""
    image_type: tuple[str, ...] = ()
    echo_time: float | None = None
    repetition_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    b_value: float | None = None
    contrast_agent: str = ""
    body_part: str = ""
    modality: str = ""
    sop_class: str = ""
    burned_in: bool = False
    patient_id: str = ""
    patient_name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = ""
    study_uid: str = ""
    study_date: str = ""
    study_time: str = ""
    frame_uid: str = ""
    series_number: int | None = None
    acquired: str = ""
    temporal_position: float | None = None

    @property
    def derived(self) -> bool:
        """Whether the series was computed from other images, as reformats and subtractions are."""
        return "DERIVED" in self.image_type[:1] or "SECONDARY" in self.image_type[1:2]

    @property
    def secondary_capture(self) -> bool:
        """Whether the series is a picture of a screen or of paper."""
        return self.sop_class == _SECONDARY_CAPTURE or self.sop_class.startswith(f"{_SECONDARY_CAPTURE}.")


def dicom_tags(text: Callable[[str], str]) -> DicomTags:
    """Collect the tags of one image.

    Args:
        text: Function that returns the value of a tag ``gggg|eeee`` (lower case); empty if the image lacks it.
    """

    def number(tag: str) -> float | None:
        return number_in(text(tag))

    def several(tag: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text(tag).split("\\") if part.strip())

    return DicomTags(
        description=text("0008|103e"),
        protocol=text("0018|1030"),
        sequence_name=text("0018|0024") or text("0018|9005"),
        scanning_sequence=several("0018|0020"),
        acquisition_type=text("0018|0023"),
        acquisition_contrast=text("0008|9209"),
        image_type=several("0008|0008"),
        echo_time=number("0018|0081"),
        repetition_time=number("0018|0080"),
        inversion_time=number("0018|0082"),
        flip_angle=number("0018|1314"),
        b_value=number("0018|9087"),
        contrast_agent=text("0018|0010"),
        body_part=text("0018|0015"),
        modality=text("0008|0060"),
        sop_class=text("0008|0016"),
        burned_in=text("0028|0301") == "YES",
        patient_id=text("0010|0020"),
        patient_name=text("0010|0010"),
        birth_date=text("0010|0030"),
        sex=text("0010|0040"),
        study_uid=text("0020|000d"),
        study_date=text("0008|0020"),
        study_time=text("0008|0030"),
        frame_uid=text("0020|0052"),
        series_number=int(number("0020|0011") or 0) or None,
        acquired=_acquired(text),
        temporal_position=number("0020|0100"),
    )


def _acquired(text: Callable[[str], str]) -> str:
    """Return date and time of acquisition as digits; without a date of its own, by the date of the series or study."""
    clock = text("0008|0032") or text("0008|0031")
    day, begun = text("0008|0022"), ""
    if not day:
        day, begun = text("0008|0021"), text("0008|0031")
        if not day or (not begun and day == text("0008|0020")):
            day, begun = text("0008|0020"), text("0008|0030")
    if not (day and clock):
        return text("0008|002a")
    with suppress(ValueError):
        if int(begun[:2]) - int(clock[:2]) > _HALF_A_DAY:
            day = f"{datetime.strptime(day, '%Y%m%d') + timedelta(days=1):%Y%m%d}"
    return day + clock


def number_in(text: str) -> float | None:
    """Return the first number of a tag's value; None if there is none or it is 0.

    Args:
        text: Value of the tag; several numbers are separated by backslashes.
    """
    with suppress(ValueError):
        number = float(text.split("\\")[0])
        return number if number and math.isfinite(number) else None
    return None
