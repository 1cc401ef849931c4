"""Descriptions and tags as scanners of Siemens, GE and Philips and their users write them."""

from typing import Any

import pytest
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.contrast_agent import agent_in
from tokenunet.study.identify.tags_and_names import evidence_of, sequence_of_scan

SE, GR, IR, EP = ("SE",), ("GR",), ("SE", "IR"), ("EP", "SE")
GR_IR = ("GR", "IR")


def times(sequence: tuple[str, ...], tr: float, te: float, ti: float | None = None, flip: float = 90) -> dict[str, Any]:
    return {
        "scanning_sequence": sequence,
        "repetition_time": tr,
        "echo_time": te,
        "inversion_time": ti,
        "flip_angle": flip,
    }


# description, further tags, weighting (None for what is none of the four), contrast agent
DESCRIBED: list[tuple[str, dict[str, Any], str | None, bool | None]] = [
    # Siemens
    ("t1_mprage_sag_p2_iso", times(GR_IR, 2300, 2.98, 900, 9), "T1", None),
    ("t1_mprage_sag_p2_iso_KM", times(GR_IR, 2300, 2.98, 900, 9), "T1", True),
    ("t1_mprage_tra nach KM", times(GR_IR, 1900, 2.5, 900, 9), "T1", True),
    ("t1_mpr_ns_sag_nativ", times(GR_IR, 1900, 2.5, 900, 9), "T1", False),
    ("t1_se_tra km", times(SE, 600, 14), "T1", True),
    ("t1_se_tra_320 vor KM", times(SE, 600, 14), "T1", False),
    ("t1_tse_dark-fluid_tra", times(IR, 2000, 9, 860), "T1", None),
    ("t1_vibe_fs_tra_post_gd", times(GR, 5.2, 2.4, flip=9), "T1", True),
    ("t1_fl2d_tra", times(GR, 250, 2.5, flip=70), "T1", None),
    ("t1_space_sag_p2_iso+C", times(SE, 700, 11), "T1", True),
    ("t2_tse_tra_512", times(SE, 6000, 99), "T2", None),
    ("t2_blade_tra", times(SE, 4000, 110), "T2", None),
    ("t2_space_sag_p2_iso", times(SE, 3200, 410), "T2", None),
    ("t2_tirm_tra_dark-fluid_4mm", times(IR, 9000, 89, 2500), "FLAIR", None),
    ("t2_space_dark-fluid_sag_p2_iso", times(IR, 5000, 393, 1800), "FLAIR", None),
    ("t2_fl2d_tra_hemo", times(GR, 620, 20, flip=20), None, None),
    ("ep2d_diff_3scan_trace_ADC", times(EP, 5000, 90), None, None),
    ("ep2d_diff_b1000_TRACEW", {}, None, None),
    ("ep2d_perf_p2", times(("EP", "GR"), 1500, 30), None, None),
    ("SWI_Images", times(GR, 28, 20, flip=15), None, None),
    ("Mag_Images", times(GR, 28, 20, flip=15), None, None),
    ("mIP_Images(SW)", times(GR, 28, 20, flip=15), None, None),
    ("TOF_3D_multi-slab", times(GR, 21, 3.4, flip=18), None, None),
    ("t2_ciss3d_tra_iso", times(GR, 5.9, 2.7, flip=50), None, None),
    ("t1_mp2rage_sag_INV2", times(GR_IR, 5000, 2.98, 2500, 5), None, None),
    ("t1_SUB_tra", {}, None, None),
    ("AAHead_Scout_MPR_sag", times(GR, 3.1, 1.4, flip=8), None, None),
    ("t2_tirm_cor_fs", times(IR, 4500, 40, 180), None, None),
    ("t1_tse_tra post RT", times(SE, 600, 14), "T1", None),
    ("t1_tse_tra post surgery + Gd", times(SE, 600, 14), "T1", True),
    ("AX T1 pre-op C+", times(SE, 600, 14), "T1", True),
    ("t2_space_da-fl_sag", times(IR, 5000, 393, 1800), "FLAIR", None),
    ("t1_vibe_dixon_tra_F", times(GR, 7, 2.4, flip=9), None, None),
    ("t1_vibe_dixon_tra_opp", times(GR, 7, 2.4, flip=9), None, None),
    ("t1_vibe_dixon_tra_W", times(GR, 7, 2.4, flip=9), "T1", None),
    ("t1_vibe_dixon_tra_in", times(GR, 7, 2.4, flip=9), "T1", None),
    ("FAT: Ax T1 LAVA", times(GR, 7, 2.4, flip=9), None, None),
    ("WATER: Ax T1 LAVA", times(GR, 7, 2.4, flip=9), "T1", None),
    ("T1 mDixon", times(GR, 7, 2.4, flip=9) | {"image_type": ("ORIGINAL", "PRIMARY", "F", "F")}, None, None),
    ("t2_tse_tra fat sat", times(SE, 6000, 99), "T2", None),
    # GE
    ("AX T1 SE +C", times(SE, 500, 9), "T1", True),
    ("AX T1 POST GAD", times(SE, 500, 9), "T1", True),
    ("Ax T1 Pre", times(SE, 500, 9), "T1", False),
    ("AX T1 W/O CONTRAST", times(SE, 500, 9), "T1", False),
    ("Ax T1 FLAIR", times(IR, 2250, 24, 760), "T1", None),
    ("Ax T1 FLAIR", {}, "T1", None),
    ("AX T1 FLAIR +C", times(IR, 2250, 24, 760), "T1", True),
    ("BRAVO POST", times(GR, 8.2, 3.2, 450, 12), "T1", True),
    ("Sag 3D FSPGR BRAVO", times(GR, 8.2, 3.2, 450, 12), "T1", None),
    ("C+ Ax T1 3D", times(GR, 8.2, 3.2, 450, 12), "T1", True),
    ("SAG CUBE T2 FLAIR", times(IR, 6000, 120, 1850), "FLAIR", None),
    ("AX T2 FLAIR FS POST", times(IR, 9500, 140, 2250), "FLAIR", True),
    ("AX T2 FRFSE", times(SE, 5200, 102), "T2", None),
    ("Ax T2 PROPELLER FS", times(SE, 4800, 98), "T2", None),
    ("AX T2* GRE", times(GR, 550, 15, flip=20), None, None),
    ("AX T2 GRE", times(GR, 550, 25, flip=20), None, None),
    ("AX SWAN", times(GR, 40, 23, flip=15), None, None),
    ("AX DWI ASSET", times(EP, 8000, 80), None, None),
    ("Apparent Diffusion Coefficient (mm2/s)", {}, None, None),
    ("3D TOF MRA COW", times(GR, 25, 3, flip=20), None, None),
    ("3Plane Loc", times(GR, 5, 1.5, flip=30), None, None),
    ("Asset Calibration", times(GR, 4, 1.5, flip=10), None, None),
    ("AX PD FSE", times(SE, 3000, 15), None, None),
    ("Ax FIESTA IAC", times(GR, 5, 2.1, flip=60), None, None),
    ("3D ASL", {}, None, None),
    ("SAG T2 C-SPINE", times(SE, 3000, 100), None, None),
    # Philips
    ("eT1W_3D_TFE", times(GR, 7.1, 3.2, flip=8), "T1", None),
    ("sT1W_3D_TFE_GD", times(GR, 7.1, 3.2, 900, 8), "T1", True),
    ("T1W_SE sin contraste", times(SE, 480, 12), "T1", False),
    ("T1W_TSE con gd", times(SE, 600, 10), "T1", True),
    ("WIP 3DT1 TFE GADO", times(GR, 8, 3.7, flip=8), "T1", True),
    ("T2W_TSE_TRA", times(SE, 3000, 80), "T2", None),
    ("T2W_FFE", times(GR, 700, 23, flip=18), None, None),
    ("FLAIR_longTR", times(IR, 11000, 125, 2800), "FLAIR", None),
    ("3D_Brain_VIEW_FLAIR_SHC", times(IR, 4800, 340, 1650), "FLAIR", None),
    ("DWI_3b ssh", times(EP, 3000, 77), None, None),
    ("dSW_EPI", times(EP, 1500, 40), None, None),
    ("PD/T2 TSE", times(SE, 3000, 100), "T2", None),
    ("PD/T2 TSE", times(SE, 3000, 15), None, None),
    ("Survey", times(GR, 11, 4.6, flip=15), None, None),
    ("sB_FFE DRIVE", times(GR, 6, 3, flip=45), None, None),
    # the description says little or nothing
    ("MR Axial", times(SE, 9000, 120, 2500), "FLAIR", None),
    ("Serie 4", times(SE, 4000, 95), "T2", None),
    ("", times(SE, 550, 10), "T1", None),
    ("axial", times(IR, 9000, 120), "FLAIR", None),
    ("", {"acquisition_contrast": "FLUID_ATTENUATED"}, "FLAIR", None),
    ("", {"acquisition_contrast": "DIFFUSION"}, None, None),
    ("brain", times(SE, 5000, 80) | {"b_value": 1000.0}, None, None),
    ("T1 post", {"image_type": ("DERIVED", "SECONDARY", "SUBTRACTION")}, None, None),
    ("FLAIR", times(SE, 9000, 120), "FLAIR", None),
    ("T1 post fossa", times(SE, 550, 10), "T1", None),
    ("T1 TRA", times(SE, 550, 10) | {"contrast_agent": "Dotarem 15 ml"}, "T1", True),
    ("T1 TRA", times(SE, 550, 10) | {"contrast_agent": "NONE"}, "T1", None),
    ("T1 TRA PRE", times(SE, 550, 10) | {"contrast_agent": "Dotarem 15 ml"}, "T1", False),
    ("T1 MPRAGE POST PERFUSION", times(GR_IR, 2300, 3, 900, 9), "T1", True),
    ("T1 MPRAGE POST", times((), 2300, 3), "T1", True),
    ("AX 3D BRAVO", {"protocol": "MRI BRAIN WITHOUT CONTRAST", "contrast_agent": "GADAVIST"}, "T1", True),
    ("AX 3D BRAVO", {"protocol": "MRI BRAIN WITHOUT CONTRAST"}, "T1", False),
]


@pytest.mark.parametrize(("description", "further", "weighting", "agent"), DESCRIBED)
def test_a_series_is_what_its_tags_say(
    description: str, further: dict[str, Any], weighting: str | None, agent: bool | None
) -> None:
    evidence = evidence_of("series", DicomTags(description=description, modality="MR", **further))
    assert (evidence.weighting, evidence.excluded) == (weighting, weighting is None), evidence.reason
    assert evidence.reason
    if weighting == "T1":
        assert evidence.agent == agent


@pytest.mark.parametrize(
    ("name", "weighting", "agent"),
    [
        ("BraTS-GLI-00001-000-t1c.nii.gz", "T1", True),
        ("BraTS-GLI-00001-000-t1n.nii.gz", "T1", False),
        ("sub-01_ses-02_T1w.nii.gz", "T1", False),
        ("sub-01_ce-gadolinium_acq-mprage.nii", "T1", True),
        ("patient mprage post.nrrd", "T1", True),
        ("7_t2_tirm_tra_dark-fluid.nii.gz", "FLAIR", None),
        ("T2_SPACE_FLAIR.mha", "FLAIR", None),
        ("DWI_T2_patient_t2.nii.gz", "T2", None),
        ("3DT2.nii", "T2", None),
    ],
)
def test_a_file_is_what_its_name_says(name: str, weighting: str, agent: bool | None) -> None:
    evidence = evidence_of(name, None)
    assert evidence.weighting == weighting
    if agent is not None:
        assert evidence.agent == agent


@pytest.mark.parametrize("name", ["sub-01_dwi.nii.gz", "T2_star.nii.gz", "ep2d_perf.nrrd", "sub-01_T1map.nii.gz"])
def test_a_file_of_another_kind_is_none_of_the_four(name: str) -> None:
    assert evidence_of(name, None).excluded


@pytest.mark.parametrize("name", ["a.nii.gz", "left_test10.nrrd", "scan_part1.nii"])
def test_a_name_may_say_nothing(name: str) -> None:
    evidence = evidence_of(name, None)
    assert evidence.weighting is None
    assert not evidence.excluded


def test_times_that_contradict_a_description_win_without_certainty() -> None:
    evidence = evidence_of("series", DicomTags(description="t1_tra", **times(IR, 9000, 120, 2500)))
    assert evidence.weighting == "FLAIR"
    assert evidence.confidence <= 0.5
    assert "although its description says “t1_tra”" in evidence.reason


def test_the_reason_gives_the_times() -> None:
    reason = evidence_of("series", DicomTags(**times(IR, 9000, 120, 2500))).reason
    assert reason == "repetition time 9000 ms, echo time 120 ms and inversion time 2500 ms"


def test_part_of_the_head_is_less_sure() -> None:
    whole, part = (
        evidence_of("s", DicomTags(description=d, **times(SE, 550, 10))) for d in ("T1 tra", "T1 tra orbita")
    )
    assert part.weighting == "T1"
    assert part.confidence < whole.confidence


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("T1 W & W/O CONTRAST", None),
        ("T1 with and without gad", None),
        ("T1 post-op", None),
        ("T1 pre op", None),
        ("T1 cor", None),
        ("T1 ohne Kontrastmittel", False),
        ("T1 S/ CONTRASTE", False),
        ("T1 sans inj", False),
        ("T1 senza mdc", False),
        ("T1 non-contrast", False),
        ("T1 mit Kontrastmittel", True),
        ("T1 C/ CONTRASTE", True),
        ("T1 avec injection", True),
        ("T1 con mdc", True),
        ("T1+C", True),
        ("T1 postGd", True),
        ("AX T1 POST NO FS", True),
        ("AX T1 POST NON FAT SAT", True),
        ("AX T1 POST W/O FS", True),
        ("T1 SE GD NO MT", True),
        ("T1 3D +C PRE RT", True),
        ("PRE GAMMA KNIFE T1 +C", True),
        ("PRE SURGICAL STEALTH T1 +C", True),
        ("AX T1 NO FS", None),
        ("T1 no gd", False),
        ("T1 w/o contrast no fs", False),
        ("MRI BRAIN WITHOUT AND WITH CONTRAST", None),
        ("BRAIN WO/W", None),
    ],
)
def test_words_of_several_languages_speak_of_contrast_agent(text: str, agent: bool | None) -> None:
    assert agent_in(text) is agent


def test_a_name_that_a_person_gave_comes_before_the_tags() -> None:
    tags = DicomTags(description="t2_tse_tra", **times(SE, 4500, 98), modality="MR")
    assert sequence_of_scan("4: t2_tse_tra", tags) == "T2"
    assert sequence_of_scan("flair of Anna", tags) == "FLAIR"
    assert sequence_of_scan("Anna", tags) == "T2"
    assert sequence_of_scan("t1 post contrast", None) == "T1ce"
    assert sequence_of_scan("Anna", None) is None
