from dataclasses import replace
from typing import Any

import pytest
import SimpleITK as sitk
from scan_fixtures import GRID, study, synthetic_images
from tokenunet.core.errors import MissingSequenceError
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.choose import SURE, Candidate, Recognition, recognize_sequences

T1_TIMES: dict[str, Any] = {"scanning_sequence": ("SE",), "repetition_time": 550, "echo_time": 9}
TAGS = {
    "T1": DicomTags(description="t1_se_tra", acquired="20260102101000", **T1_TIMES),
    "T1ce": DicomTags(description="t1_se_tra km", acquired="20260102103000", **T1_TIMES),
    "T2": DicomTags(description="t2_tse_tra", scanning_sequence=("SE",), repetition_time=4500, echo_time=98),
    "FLAIR": DicomTags(
        description="t2_tirm_tra_dark-fluid",
        scanning_sequence=("SE", "IR"),
        repetition_time=9000,
        echo_time=120,
        inversion_time=2500,
    ),
    "ADC": DicomTags(description="ep2d_diff_ADC", scanning_sequence=("EP",), repetition_time=5000, echo_time=90),
}


def unread() -> sitk.Image:
    raise AssertionError("The image is not needed where the tags tell.")


def candidates(tags: dict[str, DicomTags]) -> list[Candidate]:
    return [Candidate(name, unread, t, GRID) for name, t in tags.items()]


def names(recognition: Recognition, tags: dict[str, Any]) -> dict[SequenceName, str]:
    return {s: list(tags)[choice.index] for s, choice in recognition.choices.items()}


def test_tags_tell_the_four_and_leave_out_others() -> None:
    tags = {name: TAGS[name] for name in ("ADC", "FLAIR", "T1ce", "T2", "T1")}
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {s: s for s in SEQUENCES}
    assert list(recognition.choices) == list(SEQUENCES)
    assert recognition.findings == []
    assert all(choice.confidence > 0.8 for choice in recognition.choices.values())
    assert recognition.choices["FLAIR"].reason.startswith("repetition time 9000 ms, echo time 120 ms and inversion")
    assert "speaks of a contrast agent" in recognition.choices["T1ce"].reason


def test_recognition_accepts_a_study_of_three_and_excludes_other_kinds_by_name() -> None:
    """Two series after contrast agent, no T1 before it, a subtraction and a map."""
    later = replace(TAGS["T1ce"], description="t1_se_cor km", acquired="20260102104500")
    subtraction = replace(TAGS["T1ce"], description="t1_sub km - nativ")
    tags = {"T1ce": TAGS["T1ce"], "later": later, "sub": subtraction} | {s: TAGS[s] for s in ("T2", "FLAIR", "ADC")}
    with pytest.raises(MissingSequenceError, match="No T1 was found"):
        recognize_sequences(candidates(tags))
    recognition = recognize_sequences(candidates(tags), optional=[frozenset({"T1"})])
    assert set(recognition.choices) == {"T1ce", "T2", "FLAIR"}
    assert recognition.excluded == {"sub": "It is a subtraction.", "ADC": "It is echo-planar."}
    (finding,) = recognition.findings
    assert finding.code == "passed_over"


def test_the_agents_tag_tells_two_equal_protocols_apart() -> None:
    tags = TAGS | {"T1ce": replace(TAGS["T1"], contrast_agent="Gadovist")}
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {s: s for s in SEQUENCES}
    assert "Gadovist" in recognition.choices["T1ce"].reason


@pytest.mark.parametrize("agent", ["", "Gadovist"], ids=["no tag", "in all tags"])
def test_of_two_t1_the_later_is_after_contrast_but_not_for_certain(agent: str) -> None:
    early = replace(TAGS["T1"], contrast_agent=agent)
    tags = {"later": replace(early, acquired="20260102104500")} | TAGS | {"T1": early}
    del tags["T1ce"]
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {"T1": "T1", "T1ce": "later", "T2": "T2", "FLAIR": "FLAIR"}
    assert "acquired later" in recognition.choices["T1ce"].reason
    assert recognition.choices["T1ce"].confidence < SURE
    assert {f.code for f in recognition.findings} == {"uncertain_sequence"}
    assert any("later was taken for T1ce" in f.message for f in recognition.findings)


def test_a_t1_after_the_agent_is_no_plain_t1() -> None:
    tags = {"after": replace(TAGS["T1"], acquired="20260102110000")} | TAGS
    assert names(recognize_sequences(candidates(tags)), tags)["T1"] == "T1"
    del tags["T1"]
    with pytest.raises(MissingSequenceError, match="No T1 was found"):
        recognize_sequences(candidates(tags))


BETTER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "3-D": ({"acquisition_type": "3D"}, {"acquisition_type": "2D"}),
    "original": ({}, {"image_type": ("DERIVED", "SECONDARY")}),
    "the latest": ({"acquired": "20260102110000"}, {"acquired": "20260102105000"}),
    "the last of one series": ({"temporal_position": 3}, {"temporal_position": 1}),
}


@pytest.mark.parametrize(("better", "worse"), BETTER.values(), ids=BETTER.keys())
@pytest.mark.parametrize("first", [True, False])
def test_the_better_of_two_is_chosen_and_the_other_is_named(
    better: dict[str, Any], worse: dict[str, Any], first: bool
) -> None:
    pair = {"better": replace(TAGS["T1ce"], **better), "worse": replace(TAGS["T1ce"], **worse)}
    others = {name: TAGS[name] for name in ("T1", "T2", "FLAIR")}
    tags = pair | others if first else others | dict(reversed(pair.items()))
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags)["T1ce"] == "better"
    assert [f.message for f in recognition.findings] == ["better was chosen as T1ce; worse would fit too."]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_recognition_excludes_reformats_by_name(sequence: SequenceName, first: bool) -> None:
    """A reformat is finer than its original, and later."""
    reformat = replace(
        TAGS[sequence], image_type=("DERIVED", "SECONDARY", "MPR"), acquisition_type="3D", acquired="20260102110000"
    )
    tags = {"reformat": reformat} | TAGS if first else TAGS | {"reformat": reformat}
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {s: s for s in SEQUENCES}
    assert recognition.findings == []
    assert recognition.excluded["reformat"] == "It is a reformat of another series (MPR)."


def test_recognition_takes_a_reformat_only_where_its_original_is_missing() -> None:
    tags = TAGS | {"T1ce": replace(TAGS["T1ce"], image_type=("DERIVED", "SECONDARY", "MPR"))}
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {s: s for s in SEQUENCES}
    (finding,) = recognition.findings
    assert finding.code == "uncertain_sequence"
    assert "it is a reformat of another series (MPR), of which the original is missing" in finding.message


def test_recognition_never_takes_a_reformat_of_unknown_contrast_for_t1() -> None:
    """A reformat of the scan after contrast agent, whose description is the program's."""
    reformat = replace(TAGS["T1"], description="MPR Range[1]", image_type=("DERIVED", "SECONDARY", "MPR"))
    tags = {s: TAGS[s] for s in ("T1ce", "T2", "FLAIR")} | {"reformat": reformat}
    with pytest.raises(MissingSequenceError, match=r"No T1 was found among .*reformat \(a reformat of another series"):
        recognize_sequences(candidates(tags))


@pytest.mark.parametrize("acquired", ["", "20260102101000"], ids=["without times", "one time"])
def test_recognition_orders_t1_by_series_number_without_times(acquired: str) -> None:
    early, late = (replace(TAGS["T1"], acquired=acquired, series_number=n) for n in (9, 10))
    tags = {"late": late} | {s: TAGS[s] for s in ("T2", "FLAIR")} | {"early": early}
    recognition = recognize_sequences(candidates(tags))
    assert names(recognition, tags) == {"T1": "early", "T1ce": "late", "T2": "T2", "FLAIR": "FLAIR"}
    assert recognition.choices["T1ce"].confidence < SURE


def test_finer_and_whole_and_readable_scans_are_better() -> None:
    slab = replace(GRID, spacing=(0.4, 0.4, 0.4))
    finer = replace(GRID, size=(92, 108, 60), spacing=(1.5, 1.5, 2.5))
    for worse, better in (({"grid": slab}, {"grid": GRID}), ({}, {"grid": finer}), ({"problem": "A gap."}, {})):
        scans = [*candidates(TAGS), replace(candidates(TAGS)[2], **better)]
        scans[2] = replace(scans[2], **worse)
        choice = recognize_sequences(scans).choices["T2"]
        assert (choice.index, choice.ignored) == (5, (2,))


def test_what_may_be_angiography_does_not_go_before_a_t1() -> None:
    unsure = DicomTags(
        description="multi-slab", acquisition_type="3D", scanning_sequence=("GR",), repetition_time=22, echo_time=3.6
    )
    tags = {"unsure": unsure} | TAGS
    choice = recognize_sequences(candidates(tags)).choices["T1"]
    assert (list(tags)[choice.index], choice.ignored) == ("T1", (0,))


def test_what_is_given_overrules_the_tags() -> None:
    tags = {name: TAGS[name] for name in ("ADC", "FLAIR", "T1ce", "T2", "T1")}
    recognition = recognize_sequences(candidates(tags), {"T1": 2, "T1ce": 4, "T2": 0})
    assert names(recognition, tags) == {"T1": "T1ce", "T1ce": "T1", "T2": "ADC", "FLAIR": "FLAIR"}
    assert recognition.choices["T2"].confidence == 1


def test_what_is_missing_is_named_with_what_all_were_taken_for() -> None:
    tags = {name: TAGS[name] for name in ("ADC", "T1ce", "T2", "T1")}
    with pytest.raises(MissingSequenceError) as caught:
        recognize_sequences(candidates(tags))
    assert str(caught.value) == ("No FLAIR was found among ADC (echo-planar), T1ce (T1ce), T2 (T2), T1 (T1).")
    assert "--flair" in caught.value.hint


def unnamed(images: dict[SequenceName, sitk.Image]) -> list[Candidate]:
    return [Candidate(f"scan{i}", lambda image=image: image) for i, image in enumerate(images.values())]


@pytest.mark.parametrize("shift", range(4))
def test_the_images_tell_where_nothing_else_does(shift: int) -> None:
    order = [SEQUENCES[(i + shift) % 4] for i in range(4)]
    recognition = recognize_sequences(unnamed({s: study().scans[s].image for s in order}))
    assert {s: order[choice.index] for s, choice in recognition.choices.items()} == {s: s for s in SEQUENCES}
    assert {f.code for f in recognition.findings} == {"uncertain_sequence"}
    assert "looks like FLAIR" in recognition.choices["FLAIR"].reason


def test_the_images_tell_the_rest_beside_what_tags_tell() -> None:
    images = synthetic_images(3)
    scans = [
        replace(c, tags=DicomTags(), read=lambda image=i: image)
        for c, i in zip(candidates(TAGS)[:4], images.values(), strict=True)
    ]
    scans[0] = replace(scans[0], tags=TAGS["T1"])
    scans[1] = replace(scans[1], tags=TAGS["T1ce"])
    recognition = recognize_sequences(scans)
    assert [choice.index for choice in recognition.choices.values()] == [0, 1, 2, 3]
    assert recognition.choices["T1"].confidence > SURE > recognition.choices["T2"].confidence
