"""Time points of one patient: which folders or DICOM studies they are, and when they were acquired."""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

from tokenunet.core.channels import ChannelSet
from tokenunet.core.errors import InputError, TimePointsError
from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SequenceName
from tokenunet.io.files import files_below
from tokenunet.io.result_files import RUN_REPORT
from tokenunet.study.dicom import DicomSeries, find_series
from tokenunet.study.image_files import is_image_file
from tokenunet.study.select import select_series

_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?!\d)")


@dataclass(frozen=True)
class TimePoint:
    """One examination of a patient.

    Attributes:
        name: Name, unique for the patient: the date of DICOM studies, otherwise the name of the folder.
        folder: Folder of the scans, or of a result.
        acquired: Date of the examination; None if it is not known.
        is_result: Whether the folder holds the result of a segmentation rather than scans.
        inputs: A file of each DICOM series; empty if the scans are to be found in the folder.
        problem: Reason why its DICOM series cannot be segmented; None if they can.
    """

    name: str
    folder: Path
    acquired: date | None = None
    is_result: bool = False
    inputs: dict[SequenceName, Path] = field(default_factory=dict)
    problem: InputError | None = None


def find_time_points(
    patient: Path, channels: ChannelSet, order: Sequence[str] = (), output: Path | None = None
) -> list[TimePoint]:
    """Find the time points in a patient's folder.

    DICOM series anywhere in the folder are one time point for each day. Every other folder directly in it is one, with
    scans or with the result of a segmentation; its name may contain the date.

    Args:
        patient: Folder of the patient.
        channels: Channels of the model.
        order: Names of the time points to compare, the earliest first; empty for all of them, by date.
        output: Folder for the results, which is no time point.

    Returns:
        Time points, the earliest first.

    Raises:
        TimePointsError: If there are fewer than two, or their order is not known.
        MixedPatientsError: If DICOM files belong to several patients.
    """
    if not patient.is_dir():
        raise TimePointsError(f"There is no folder {patient}.", "Check the path.")
    series = [volume for volume in find_series(patient) if not volume.excluded]
    dicom_files = {file for volume in series for file in volume.files}
    found = _dicom_days(patient, series, channels)
    folders = sorted(entry for entry in patient.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for folder in (folder for folder in folders if folder != output):
        is_result = (folder / RUN_REPORT).is_file()
        holds_scans = any(is_image_file(file) and file not in dicom_files for file in files_below(folder))
        if is_result or holds_scans:
            found.append(TimePoint(folder.name, folder, date_in_name(folder.name), is_result))
    if len(found) < 2:
        what = f"only one time point, {found[0].name}" if found else "no time points"
        raise TimePointsError(f"{patient} holds {what}.", "Put every time point into a folder of its own.")
    return _ordered(found, order) if order else _by_date(patient, found)


def date_in_name(name: str) -> date | None:
    """Return the date in a name, such as that of ``ses-2021-03-05`` or ``20210305_mr``; None if there is none.

    Args:
        name: Name of a folder.

    Example:
        >>> date_in_name("ses-20210305")
        datetime.date(2021, 3, 5)
    """
    match = _DATE_IN_NAME.search(name)
    return _date("".join(match.groups())) if match else None


def days_since_first(points: Iterable[TimePoint]) -> list[int] | None:
    """Return the days since the first time point; None if a date is not known, or dates contradict the order.

    Args:
        points: Time points in their order.
    """
    dates = [point.acquired for point in points]
    known = [day for day in dates if day is not None]
    if len(known) < len(dates) or any(later <= earlier for earlier, later in pairwise(known)):
        return None
    return [(day - known[0]).days for day in known]


def order_of(points: Sequence[TimePoint]) -> str:
    """Return the order that compares time points, as the panel takes it and as an option of the command.

    Args:
        points: Time points in their order.

    Example:
        >>> order_of([TimePoint("week 0", Path()), TimePoint("week-12", Path())])
        "week 0, week-12 (--order 'week 0' week-12)"
    """
    names = [point.name for point in points]
    return f"{', '.join(names)} (--order {shlex.join(names)})"


def order_finding(points: Sequence[TimePoint]) -> Finding | None:
    """Return the warning about an order that contradicts the dates, which are then ignored; None if it does not.

    Args:
        points: Time points of `find_time_points`.
    """
    names = ", ".join(point.name for point in points)
    if not any(point.acquired is None and date_in_name(point.name) for point in points):
        return None
    text = f"The order {names} is not that of the dates, which are ignored. Leave out the order to sort by date."
    return Finding("order_contradicts_dates", text)


def _dicom_days(patient: Path, series: Sequence[DicomSeries], channels: ChannelSet) -> list[TimePoint]:
    """Return a time point for each day, or each study without a date, of a patient's DICOM series."""
    days: dict[str, list[DicomSeries]] = defaultdict(list)
    for volume in series:
        days[volume.tags.study_date or volume.tags.study_uid].append(volume)
    points = []
    for number, (_, day) in enumerate(sorted(days.items()), start=1):
        when = _date(day[0].tags.study_date)
        point = TimePoint(f"{when}" if when else f"study {number}", patient, when)
        try:
            scans = select_series(
                patient, day, {}, channels.names, [frozenset(option.channels) for option in channels.optional]
            ).series
        except InputError as error:  # the order may leave it out
            points.append(replace(point, problem=error))
        else:
            points.append(replace(point, inputs={s: volume.files[0] for s, volume in scans.items()}))
    return points


def _date(digits: str) -> date | None:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def _ordered(found: Sequence[TimePoint], order: Sequence[str]) -> list[TimePoint]:
    named = {point.name: point for point in found}
    unknown = [name for name in order if name not in named]
    if unknown:
        raise TimePointsError(f"There is no time point {unknown[0]}.", f"Choose from {', '.join(named)}.")
    if len(set(order)) < max(2, len(order)):
        raise TimePointsError("--order needs two or more different time points.", "Name each of them once.")
    chosen = [named[name] for name in order]
    # Dates that contradict the order are those of something else, such as of the export.
    return chosen if days_since_first(chosen) else [replace(point, acquired=None) for point in chosen]


def _by_date(patient: Path, found: Sequence[TimePoint]) -> list[TimePoint]:
    hint = f"Give the order, the earliest first, such as {order_of(found)}."
    unknown = [point.name for point in found if point.acquired is None]
    if unknown:
        raise TimePointsError(f"The date of {', '.join(unknown)} in {patient} is not known.", hint)
    day, count = Counter(point.acquired for point in found).most_common(1)[0]
    if count > 1:
        same = ", ".join(point.name for point in found if point.acquired == day)
        raise TimePointsError(f"{same} in {patient} have the same date, {day}.", hint)
    return sorted(found, key=lambda point: (point.acquired is None, point.acquired))
