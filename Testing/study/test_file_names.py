"""Files of several patients or visits that are given as one study."""

from pathlib import Path

import pytest
from tokenunet.core.errors import UnreadableImageError
from tokenunet.data import read_dataset
from tokenunet.study.file_names import mixed_names
from tokenunet.study.find import find_study

FOUR = {"T1": "t1", "T1ce": "t1ce", "T2": "t2", "FLAIR": "flair"}


def paths(*names: str) -> dict[str, Path]:
    return {sequence: Path("/data/study") / name for sequence, name in zip(FOUR, names, strict=True)}


@pytest.mark.parametrize(
    ("names", "one", "other"),
    [
        (("ses-1/t1.nii", "ses-1/t1ce.nii", "ses-2/t2.nii", "ses-2/flair.nii"), "ses-1/t1.nii", "ses-2/t2.nii"),
        (("20200101/t1.nii", "20200101/t1ce.nii", "20230101/t2.nii", "20230101/flair.nii"), "20200101", "20230101"),
        (
            ("2020-01-01_t1.nii", "2020-01-01_t1c.nii", "2020-01-01_t2.nii", "2020-03-01_flair.nii"),
            "T1",
            "FLAIR",
        ),
        (("01.02.2020 t1.nii", "14.03.2021 t1ce.nii", "01.02.2020 t2.nii", "01.02.2020 flair.nii"), "T1", "T1ce"),
        (("Smith_t1.nii", "Smith_t1ce.nii", "Jones_t2.nii", "Jones_flair.nii"), "Smith_t1", "Jones_t2"),
        (("Smith/t1.nii", "Smith/t1ce.nii", "Smith/t2.nii", "Jones/flair.nii"), "Smith/t1", "Jones/flair"),
        (("Müller_t1.nii", "Müller_t1ce.nii", "Li_Wei_t2.nii", "Müller_flair.nii"), "Müller_t1", "Li_Wei_t2"),
        (
            ("BraTS_00003_t1.nii", "BraTS_00003_t1ce.nii", "BraTS_00005_t2.nii", "BraTS_00003_flair.nii"),
            "00003",
            "00005",
        ),
        (("P01_t1.nii", "P02_t1ce.nii", "P02_t2.nii", "P02_flair.nii"), "P01", "P02"),
        (("sub-A_T1w.nii", "sub-A_ce-gd_T1w.nii", "sub-B_T2w.nii", "sub-A_FLAIR.nii"), "sub-A", "sub-B"),
        (("x_preop_t1.nii", "x_preop_t1ce.nii", "x_postop_t2.nii", "x_postop_flair.nii"), "preop", "postop"),
        (("x_tp1_t1.nii", "x_tp1_t1ce.nii", "x_tp1_t2.nii", "x_tp2_flair.nii"), "tp1", "tp2"),
        (("Pat 1 T1.nii", "Pat 1 T1c.nii", "Pat 2 T2.nii", "Pat 1 flair.nii"), "Pat 1 T1", "Pat 2 T2"),
        (("1/t1.nii", "1/t1ce.nii", "2/t2.nii", "2/flair.nii"), "1/t1.nii", "2/t2.nii"),
        (("t1_P001.nii", "t1ce_P001.nii", "t2_P002.nii", "flair_P001.nii"), "P001", "P002"),
        (("t1_Smith.nii", "t1ce_Smith.nii", "t2_Jones.nii", "flair_Smith.nii"), "t1_Smith", "t2_Jones"),
        (("A_t1_2021.nii", "A_t1ce_2021.nii", "A_t2_2021.nii", "A_flair_2022.nii"), "A_t1_2021", "A_flair_2022"),
        (("visit 1/t1.nii", "visit 1/t1ce.nii", "visit 2/t2.nii", "visit 2/flair.nii"), "visit 1", "visit 2"),
    ],
)
def test_mixed_names_warns_of_several_patients_or_visits(names: tuple[str, ...], one: str, other: str) -> None:
    (finding,) = mixed_names(paths(*names))
    assert finding.code == "mixed_names"
    assert one in finding.message
    assert other in finding.message


@pytest.mark.parametrize(
    "names",
    [
        ("t1.nii", "t1ce.nii", "t2.nii", "flair.nii"),
        ("T1/image.nii", "T1ce/image.nii", "T2/image.nii", "FLAIR/image.nii"),
        ("003_ax_t1.nii", "009_ax_t1ce.nii", "004_ax_t2.nii", "005_sag_flair.nii"),
        ("ax_t1.nii", "ax_t1_gd.nii", "sag_t2.nii", "sag_flair.nii"),
        ("mprage_t1.nii", "mprage_t1ce.nii", "tse_t2.nii", "tse_flair.nii"),
        ("sub_T1.nii", "sub_T1ce.nii", "sub_T2.nii", "sub_FLAIR.nii"),
        ("t1_256.nii", "t1ce_256.nii", "t2_512.nii", "flair_512.nii"),
        ("Smith_t1_pre.nii", "Smith_t1_post.nii", "Smith_t2.nii", "Smith_flair.nii"),
        ("native_t1.nii", "contrast_t1.nii", "t2.nii", "flair.nii"),
        ("anat/sub-01_ses-1_T1w.nii", "anat/sub-01_ses-1_ce-gad_T1w.nii", "anat/sub-01_ses-1_T2w.nii", "x/flair.nii"),
        (
            "UPENN-GBM-00001_11_T1.nii",
            "UPENN-GBM-00001_11_T1GD.nii",
            "UPENN-GBM-00001_11_T2.nii",
            "UPENN-GBM-00001_11_FLAIR.nii",
        ),
        ("T1_20200101_101500.nii", "T1_Gd_20200101_104500.nii", "T2_20200101_102000.nii", "FLAIR_20200101_102500.nii"),
        (
            "TCGA-02-0006_1996.08.23_t1.nii",
            "TCGA-02-0006_1996.08.23_t1Gd.nii",
            "TCGA-02-0006_1996.08.23_t2.nii",
            "TCGA-02-0006_1996.08.23_flair.nii",
        ),
        ("t1.nii", "t1ce.nii", "t2_to_t1ce.nii", "registered/flair.nii"),
        ("3_t1.nii", "9_t1ce.nii", "4_t2.nii", "5_flair.nii"),
        ("t1_Smith.nii", "t1ce_Smith.nii", "t2_Smith.nii", "flair_corrected.nii"),
        ("t1_Smith.nii", "t1ce_Smith_dotarem.nii", "t2_Smith_blade.nii", "flair_Smith.nii"),
        ("t1_mprage.nii", "t1ce_mprage.nii", "t2_vista.nii", "flair_vista.nii"),
        ("t1_mprage_p2_iso.nii", "t1_mprage_p2_iso_km.nii", "t2_tse_p3.nii", "flair_p3.nii"),
    ],
)
def test_mixed_names_accepts_one_study(names: tuple[str, ...]) -> None:
    assert mixed_names(paths(*names)) == []


@pytest.mark.parametrize("given", [False, True])
def test_find_study_warns_of_files_of_two_sessions(tmp_path: Path, given: bool) -> None:
    files = {s: tmp_path / f"ses-{1 + (s == 'FLAIR')}" / f"{name}.nii.gz" for s, name in FOUR.items()}
    for file in files.values():
        file.parent.mkdir(exist_ok=True)
        file.touch()
    found = find_study(None, files) if given else find_study(tmp_path)
    assert [finding.code for finding in found.findings] == ["mixed_names"]


def test_find_study_takes_no_earlier_result_for_a_scan(tmp_path: Path) -> None:
    """Results written into the study, with the scans in folders of their own, are looked through, too."""
    for name in ("anat/t1.nii.gz", "anat/t1ce.nii.gz", "anat/t2.nii.gz", "anat/flair.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("run.json", "labels.nii.gz", "brain.nii.gz", "overlays/compare/t1_difference.nii.gz"):
        (tmp_path / "results" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "results" / name).touch()
    found = find_study(tmp_path)
    assert {s: scan.place for s, scan in found.scans.items()} == {
        s: tmp_path / "anat" / f"{name}.nii.gz" for s, name in FOUR.items()
    }
    assert found.findings == []


@pytest.mark.parametrize("layout", ["folder", "csv"])
def test_read_dataset_warns_of_scans_of_several_patients(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "case_1"
    folder.mkdir()
    names = ["Smith_t1.nii", "Smith_t1ce.nii", "Smith_t2.nii", "Jones_flair.nii", "seg.nii"]
    for name in names:
        (folder / name).touch()
    table = tmp_path / "list.csv"
    table.write_text("case,T1,T1ce,T2,FLAIR,truth\n" + ",".join(["case_1", *(f"case_1/{n}" for n in names)]))
    dataset = read_dataset(tmp_path if layout == "folder" else table)
    (finding,) = dataset.findings
    assert (finding.code, finding.severity, finding.case) == ("mixed_names", "warning", "case_1")


@pytest.mark.parametrize("given", [False, True])
def test_find_study_names_a_path_that_cannot_be_read(tmp_path: Path, given: bool) -> None:
    path = tmp_path / ("x" * 300)
    with pytest.raises(UnreadableImageError, match=r"x cannot be read: File name too long\."):
        find_study(None if given else path, {"T1": path, "T1ce": path, "T2": path, "FLAIR": path} if given else {})
