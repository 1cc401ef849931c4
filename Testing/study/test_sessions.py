"""Sessions among DICOM series, by study, time and frame of reference."""

from dataclasses import replace
from pathlib import Path

import pytest
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.dicom import DicomSeries
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.sessions import session_findings, sessions_of


def series(sequence: SequenceName, frame: str = "A", time: str = "0900", day: str = "20250310") -> DicomSeries:
    tags = DicomTags(
        description=sequence, study_uid="1.2", study_date="20250310", frame_uid=frame, acquired=f"{day}{time}00"
    )
    return DicomSeries(f"{sequence} {frame} {time}", (Path(f"{sequence}{frame}{time}"),), tags)


def codes(chosen: dict[SequenceName, DicomSeries], *others: DicomSeries) -> list[str]:
    return [f.code for f in session_findings("folder", chosen, [*chosen.values(), *others])]


def test_sessions_of_puts_frames_of_reference_before_the_whole_study() -> None:
    early, late = [series(s) for s in SEQUENCES], [series(s, "B", "1100") for s in SEQUENCES]
    first, second, third = sessions_of([*early, *late])
    assert (first, second) == (tuple(late), tuple(early))
    assert len(third) == 8
    without_frame = replace(early[0], tags=replace(early[0].tags, frame_uid=""))
    assert [len(session) for session in sessions_of([without_frame, *early[1:], *late])] == [8]


@pytest.mark.parametrize(("time", "joined"), [("0030", True), ("0500", False)])
def test_sessions_of_joins_studies_of_one_night(time: str, joined: bool) -> None:
    before = [series(s, time="2330") for s in ("T1", "T2")]
    after = [series(s, "B", time, "20250311") for s in ("T1ce", "FLAIR")]
    after = [replace(v, tags=replace(v.tags, study_uid="1.3", study_date="20250311")) for v in after]
    assert ([*before, *after] in map(list, sessions_of([*after, *before]))) is joined


@pytest.mark.parametrize(
    ("changed", "other", "expected"),
    [
        ("T1ce", series("T1ce"), []),
        ("T1ce", series("T1ce", "B"), ["moved_patient"]),
        ("FLAIR", series("FLAIR", "B", "1330"), ["mixed_visits"]),
        ("T2", series("T2", "A", "0900", "20250311"), ["mixed_visits"]),
        ("T1", series("T1", ""), []),
    ],
)
def test_session_findings_tell_mixed_visits(changed: SequenceName, other: DicomSeries, expected: list[str]) -> None:
    assert codes({s: series(s) for s in SEQUENCES} | {changed: other}) == expected


def test_session_findings_name_both_visits() -> None:
    chosen = {s: series(s, time="0812") for s in SEQUENCES} | {"T1ce": series("T1ce", time="1545")}
    (finding,) = session_findings("folder", chosen, list(chosen.values()))
    assert "T1, T2, FLAIR (2025-03-10 08:12)" in finding.message.replace("FLAIR, T1, T2", "T1, T2, FLAIR")
    assert "T1ce (2025-03-10 15:45)" in finding.message


def test_session_findings_name_scans_of_another_frame_that_were_left_out() -> None:
    assert codes({s: series(s) for s in SEQUENCES}, series("T2", "B")) == ["several_sessions"]
    each_its_own = {s: series(s, frame) for s, frame in zip(SEQUENCES, "ABCD", strict=True)}
    assert codes(each_its_own) == []
