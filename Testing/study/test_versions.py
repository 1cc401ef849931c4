"""Choice among several versions of the scans by their names."""

from pathlib import Path

import pytest
from tokenunet.core.errors import AmbiguousSequenceError
from tokenunet.study.versions import choose_by_name

PLAIN = ["t1", "t1ce", "t2", "flair"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([*PLAIN, "t1_reg", "t2_reg", "flair_reg"], ["t1_reg", "t1ce", "t2_reg", "flair_reg"]),
        (
            [*PLAIN, "t1ce_to_flair", "t2_to_flair", "t1_to_flair"],
            ["t1_to_flair", "t1ce_to_flair", "t2_to_flair", "flair"],
        ),
        (
            [*PLAIN, *(f"{s}_coreg" for s in PLAIN), *(f"{s}_coreg_n4" for s in PLAIN)],
            [f"{s}_coreg" for s in PLAIN],
        ),
        ([*PLAIN, *(f"{s}_n4" for s in PLAIN)], PLAIN),
        (PLAIN, PLAIN),
    ],
)
def test_choose_by_name_prefers_registered_and_then_plain_versions(names: list[str], chosen: list[str]) -> None:
    folder = Path("patient")
    files = [folder / f"P1_{name}.nii.gz" for name in names]
    by_name = choose_by_name(folder, files)
    assert [path.name for path in by_name.files.values()] == [f"P1_{name}.nii.gz" for name in chosen]
    finding = by_name.finding(folder)
    left_out = set(names) - set(chosen)
    assert (finding is None) == (not left_out)
    assert all(f"P1_{name}.nii.gz" in finding.message.split(", not ")[1] for name in left_out if finding)


@pytest.mark.parametrize(
    "names",
    [
        [*PLAIN, "t1ce_to_mni"],  # the others would stay where they are
        [*PLAIN, "t2_reg", "t2_warped"],
        [*PLAIN, "t1_n4"],
        [*PLAIN, "late/t1_reg", "late/t2_reg", "late/flair_reg", "late/t1ce"],
    ],
)
def test_choose_by_name_refuses_incomplete_versions(names: list[str]) -> None:
    folder = Path("patient")
    with pytest.raises(AmbiguousSequenceError, match="both look like"):
        choose_by_name(folder, [folder / f"{name}.nii.gz" for name in names])
