"""Names of series and files of many vendors and languages, and of series that are none of the four sequences."""

import pytest
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.tags_and_names import Evidence, evidence_of, sequence_in

SEQUENCE_BY_NAME = {
    "T1 C-": "T1",
    "T1 Gd-": "T1",
    "AX T1 FLAIR": "T1",
    "AX T1 FLAIR POST": "T1ce",
    "CET1": "T1ce",
    "gdT1 tra": "T1ce",
    "t1post": "T1ce",
    # Siemens
    "t2_space_da-fl_sag_p2_iso": "FLAIR",
    "t2_spc_da-fl": "FLAIR",
    "t2_qtse_dark-fluid_tra": "FLAIR",
    "t2_blade_dark-fluid_tra_p2": "FLAIR",
    "t2_tirm_tra": "FLAIR",
    "t1_tirm_tra": "T1",
    "t1_mpr_sag_iso": "T1",
    "MPRAGE KM": "T1ce",
    "t1_spc_sag_fs_nach_KM": "T1ce",
    "t1_mp2rage_UNI": "T1",
    # GE
    "Sag CUBE T2 FLAIR": "FLAIR",
    "Sag CUBE FLAIR +C": "FLAIR",
    "Sag T2 CUBE": "T2",
    "Ax T2 FLAIR PROMO": "FLAIR",
    "BRAVO +C": "T1ce",
    "AX BRAVO C+": "T1ce",
    "Sag T1 CUBE +C": "T1ce",
    "Ax FSPGR 3D": "T1",
    # Philips
    "sT1W_3D_TFE_GD": "T1ce",
    "3D_VISTA_FLAIR": "FLAIR",
    "T2W_VISTA": "T2",
    "T2W_FLAIR_SPIR": "FLAIR",
    "T1 BB 3D VISTA gd": "T1ce",
    "eTHRIVE gd": "T1ce",
    # Canon, Hitachi, United Imaging
    "FE3D_mpr T1": "T1",
    "T1 3D FFE_MPRAGE CE": "T1ce",
    "Gd-T1WI": "T1ce",
    "T2WI": "T2",
    "FLAIR 3D MPV": "FLAIR",
    "t2_arms_flair": "FLAIR",
    "t1_mx3d_sag+C": "T1ce",
    # languages
    "T1 nativ": "T1",
    "T1 après injection": "T1ce",
    "T1 avant injection": "T1",
    "T1 sans gado": "T1",
    "T1 con contraste": "T1ce",
    "T1 sin contraste": "T1",
    "T1 pós-contraste": "T1ce",
    "T1 sem contraste": "T1",
    "T1 dopo mdc": "T1ce",
    "T1 prima mdc": "T1",
    "T1 na contrast": "T1ce",
    "T1 zonder contrast": "T1",
    "T1 efter kontrast": "T1ce",
    "T1 utan kontrast": "T1",
    "T1 z kontrastem": "T1ce",
    "T1 bez kontrastu": "T1",
    "T1 kontrasts\u0131z": "T1",
    "T1 造影後": "T1ce",
    "造影T1": "T1ce",
    "T1 造影前": "T1",
    "T1 单纯": "T1",
    "T1 增强": "T1ce",
    "T1 조영증강": "T1ce",
    "T1 с контрастом": "T1ce",  # noqa: RUF001
    "T1 без контраста": "T1",
    "\uff34\uff11 Gd": "T1ce",  # full-width letters
    # words of surgery and therapy
    "T1 post-OP KM": "T1ce",
    "T1 post Rx": "T1",
    "T1 S C Miller": "T1",
}
KIND_BY_NAME = {
    "T1 KM - nativ": "a subtraction",
    "T1_sub": "a subtraction",
    "T1 soustraction": "a subtraction",
    "T1 Differenz": "a subtraction",
    "T2 ADC map": "diffusion",
    "isoADC": "diffusion",
    "TraceW": "diffusion",
    "FA map": "diffusion",
    "Fractional Anisotropy": "diffusion",
    "Average DC": "diffusion",
    "T1 perfusion": "perfusion",
    "relCBV": "perfusion",
    "rCBV": "perfusion",
    "T1 DYN": "perfusion",
    "negative enhancement integral": "perfusion",
    "mIP_Images(SW)": "a map or projection",
    "T1 KM MIP": "a map or projection",
    "SWI mIP": "a T2* or susceptibility scan",
    "T1 map": "a map or projection",
    "mp2rage_INV1": "a map or projection",
    "Pha_Images": "a phase image",
    "T2 phase": "a phase image",
    "Localizer T1": "a localizer",
    "T2 loc": "a localizer",
    "T1ce-T1": "a subtraction",
    "T1 gd - T1 nativ": "a subtraction",
    "PD": "proton density",
    "PDw": "proton density",
    "Screen Save": "a picture of a screen or a report",
    "Dose Report": "a picture of a screen or a report",
    "Patient Protocol": "a picture of a screen or a report",
    "T2 STIR": "a STIR",
    "T2 TSE HWS": "an image of another part of the body",
    "T1 VRT": "an overlay or rendering",
}


def both(name: str) -> list[Evidence]:
    """The evidence of a series with this description, and of a file with this name."""
    return [
        evidence_of("series", DicomTags(description=name, modality="MR")),
        evidence_of(f"p1_{name.replace(' ', '_')}.nii.gz", None),
    ]


@pytest.mark.parametrize(("name", "sequence"), SEQUENCE_BY_NAME.items())
def test_evidence_knows_names_of_vendors_and_languages(name: str, sequence: str) -> None:
    assert [(e.excluded, e.reformat, sequence_in(e)) for e in both(name)] == [(False, False, sequence)] * 2


@pytest.mark.parametrize(("name", "kind"), KIND_BY_NAME.items())
def test_evidence_excludes_other_kinds_by_name(name: str, kind: str) -> None:
    assert [(e.excluded, e.reason) for e in both(name)] == [(True, kind)] * 2


@pytest.mark.parametrize(
    "name",
    [
        "DWI_project_p1_t1.nii.gz",
        "perfusion_study_07_flair.nii.gz",
        "sub-MIP01_T1w.nii.gz",
        "sub-01_dir-AP_T2w.nii.gz",
        "t2_to_adc.nii.gz",
        "flair_in_dwi_space.nii.gz",
        "t1_calibrated.nii.gz",
        "t1_mni_diffeo.nii.gz",
    ],
)
def test_evidence_ignores_words_of_projects_patients_and_targets(name: str) -> None:
    assert not evidence_of(name, None).excluded


@pytest.mark.parametrize(
    ("description", "image_type", "reformat"),
    [
        ("MPR Range[1]", ("DERIVED", "SECONDARY", "MPR", "CSA MPR"), True),
        ("t1_mprage_sag_MPR_Cor", ("DERIVED", "SECONDARY", "MPR", "CSA RESAMPLED"), True),
        ("T1 MPR KM", ("DERIVED", "SECONDARY"), True),
        ("Ax T1", ("DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"), True),
        ("RFMT COR BRAVO +C", (), True),
        ("T1 KM Rekonstruktion cor", (), True),
        ("MPR cor T1 KM", (), True),
        ("T1 MPR KM", ("ORIGINAL", "PRIMARY", "M", "ND"), False),
        ("t1_mpr_ns_sag", (), False),
        ("T1 BRAVO +C", ("DERIVED", "PRIMARY", "M", "DIS3D"), False),
    ],
)
def test_evidence_tells_reformats_from_mprage(description: str, image_type: tuple[str, ...], reformat: bool) -> None:
    tags = DicomTags(description=description, image_type=image_type, modality="MR")
    evidence = evidence_of("series", tags)
    assert (evidence.reformat, evidence.excluded) == (reformat, False)
