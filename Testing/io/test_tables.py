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
