"""CSV files of patients."""

from pathlib import Path

import pytest
from tokenunet.core.errors import InputError
from tokenunet.io.tables import read_patient_table


def table(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("header", "sequence", "taken", "ignored"),
    [
        ("id,FLAIR_orig,flair,T2", "FLAIR", "1", ("FLAIR_orig",)),
        ("id,t2w,T2 upsampled,age,sex", "T2", "0", ("T2 upsampled", "age", "sex")),
        ("id;T1c_bias;T1_in_T2;T1Gd", "T1ce", "2", ("T1c_bias",)),
    ],
)
def test_read_patient_table_takes_the_exact_column(
    header: str, sequence: str, taken: str, ignored: tuple[str, ...], tmp_path: Path
) -> None:
    separator = ";" if ";" in header else ","
    row = separator.join(["P", *map(str, range(header.count(separator)))])
    read = read_patient_table(table(tmp_path, f"{header}\n{row}\n"), ("id",))
    assert read.rows[0][sequence] == taken
    assert read.ignored == ignored


@pytest.mark.parametrize("header", ["id,T1,t1n", "id,T2 a,T2 b", "id,ID,T1", "id,t1 post gd,T1ce x"])
def test_read_patient_table_refuses_two_columns_for_one(header: str, tmp_path: Path) -> None:
    first, second = header.split(",")[-2:] if "ID" not in header else ("id", "ID")
    with pytest.raises(InputError, match=f"several columns for .*: {first}, {second}"):
        read_patient_table(table(tmp_path, f"{header}\n1,2,3\n"), ("id",))


@pytest.mark.parametrize(
    "text",
    [
        "id\tT1\tT2\nP\ta,b/t1.nii\tt2.nii\n",
        "sep=;\nid;T1;T2\nP;a,b/t1.nii;t2.nii\n",
        'id,T1,T2\r\nP,"a,b/t1.nii",t2.nii\r\n\r\n',
        "id;T1 ;T2\n P ; a,b/t1.nii ;t2.nii ;;\n;;\n",
        '"id","T1","T2"\n"P","a,b/t1.nii","t2.nii",\n',
    ],
    ids=["tabs", "excel_sep", "quoted", "blanks", "empty_cells_at_the_end"],
)
def test_read_patient_table_understands_separators(text: str, tmp_path: Path) -> None:
    read = read_patient_table(table(tmp_path, text), ("id",))
    assert read.rows == ({"id": "P", "T1": "a,b/t1.nii", "T2": "t2.nii"},)


@pytest.mark.parametrize(
    ("text", "line"),
    [("id,T1,T2\nP,a,b/t1.nii,t2.nii\n", 2), ("id\tT1\nP\tx\nQ\ty\tz\n", 3), ("id;T1\nP;'a;b'\n", 2)],
)
def test_read_patient_table_refuses_rows_with_too_many_cells(text: str, line: int, tmp_path: Path) -> None:
    """An unquoted separator in a path would shift the other files to other sequences."""
    with pytest.raises(InputError, match=rf"Line {line} of .*list\.csv has more cells"):
        read_patient_table(table(tmp_path, text), ("id",))


def test_file_understands_backslashes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t1.nii").touch()
    (tmp_path / "odd\\name.nii").touch()
    read = read_patient_table(table(tmp_path, "id,T1\nP,x\n"), ("id",))
    assert read.file("a\\t1.nii") == tmp_path / "a" / "t1.nii"
    assert read.file("odd\\name.nii") == tmp_path / "odd\\name.nii"
    with pytest.raises(InputError, match="leaves the folder"):
        read.file("..\\t1.nii")
