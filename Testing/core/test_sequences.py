import pytest
from tokenunet.core.sequences import sequence_named


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("BraTS20_Training_001_t1ce.nii.gz", "T1ce"),
        ("BraTS-GLI-00005-100-t1c.nii.gz", "T1ce"),
        ("BraTS-GLI-00005-100-t1n.nii.gz", "T1"),
        ("BraTS-GLI-00005-100-t2w.nii.gz", "T2"),
        ("BraTS-GLI-00005-100-t2f.nii.gz", "FLAIR"),
        ("sub-01_T1Gd.nrrd", "T1ce"),
        ("AX T1 POST GD", "T1ce"),
        ("T1_ce", "T1ce"),
        ("UCSF-PDGM-0004_T1gad.nii.gz", "T1ce"),
        ("T1_gadolinium", "T1ce"),
        ("t1_mprage_post.nii.gz", "T1ce"),
        ("C_001_T1", "T1"),
        ("sub-01_ses-post_T1w.nii.gz", "T1"),
        ("T1_without_contrast", "T1"),
        ("Ax T1 pre contrast", "T1"),
        ("t1 w/o contrast", "T1"),
        ("T1_no_bias_ce.nii.gz", "T1ce"),
        ("T2_in_T1.nii.gz", "T2"),
        ("t1_to_t1ce.nii.gz", "T1"),
        ("T1c_in_T1", "T1ce"),
        ("flair_reg_to_t1_gd.nii.gz", "FLAIR"),
        ("sub-01_t2w_registered_T1c.mha", "T2"),
        ("sub-01_space-T1w_T2w.nii.gz", "T2"),
        ("sub-01_reg_t1ce.nii.gz", "T1ce"),
        ("t1_post_gd_to_t2", "T1ce"),
        ("T1_post_RT.nii.gz", "T1"),
        ("T1 post-op.nii.gz", "T1"),
        ("t1_post_chemo_month3.nii", "T1"),
        ("T1_post_surgery_gd", "T1ce"),
        ("T1_C_Miller.nii.gz", "T1"),
        ("Miller_T1_c.nii.gz", "T1ce"),
        ("Ax T2 FLAIR", "FLAIR"),
        ("fla.mha", "FLAIR"),
        ("3DT1.nii.gz", "T1"),
        ("p_3dFLAIR.nii", "FLAIR"),
        ("T1MPRAGE_gd.nii", "T1ce"),
        ("FLAIR3D", "FLAIR"),
        ("3DT1Gd", "T1ce"),
        ("T2_in_T1ce_in_FLAIR.nii", "T2"),
        ("t2_space_da-fl.nii.gz", "FLAIR"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"),
        ("ax_t2_tse", "T2"),
        ("T1", "T1"),
        ("patient_seg.nii.gz", None),
        ("t12_weird", None),
    ],
)
def test_sequence_is_found_in_names_people_use(name: str, sequence: str | None) -> None:
    assert sequence_named(name) == sequence


@pytest.mark.parametrize("name", ["T1MPRAGEGD", "t13dgd", "flairspacex"])
def test_sequence_named_does_not_guess_from_the_beginning_of_a_word(name: str) -> None:
    assert sequence_named(name) is None
