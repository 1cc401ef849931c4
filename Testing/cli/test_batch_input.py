"""Which patients a batch has, and what is wrong with its arguments."""

from pathlib import Path

import pytest
from batch_runs import command
from tokenunet.cli import main
from tokenunet.core.errors import InputError
from tokenunet.core.events import Event, WarningEvent
from tokenunet.core.sequences import SEQUENCES
from tokenunet.inference.batch.patients import find_patients
from tokenunet.inference.request import SegmentationRequest


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        (["--input", "x"], 2, "--input is for one patient"),
        (["--t1ce", "x"], 2, "--t1ce is for one patient"),
        (["--jobs", "0"], 2, "--jobs must be at least 1"),
        (["--jobs", "2", "--cluster", "local"], 2, "--jobs cannot be given with --cluster"),
        (["--device", "cuda:99"], 5, "cuda:99"),
        (["--batch", "absent"], 3, "absent"),
        (["--output", "PATIENTS"], 3, "among the patients"),
        (["--output", "/proc/results"], 6, "/proc/results"),
        (["--overlap", "1"], 2, "overlap"),
        (["--cluster", "127.0.0.1:1"], 5, "There is no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_what_is_wrong_for_all_stops_the_batch(
    patients: Path,
    model: Path,
    tmp_path: Path,
    changes: list[str],
    exit_code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes = [str(patients) if word == "PATIENTS" else word for word in changes]
    assert main([*command(patients, tmp_path / "out", model), *changes]) == exit_code
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.glob("out/*/run.json"))


def test_arguments_about_many_need_a_batch(patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["segment", "--input", str(patients / "patient_01"), "--output", str(tmp_path / "out")]
    assert main([*one, "--jobs", "2"]) == 2
    assert main([*one, "--cluster", "local"]) == 2
    assert "--cluster is for many patients" in capsys.readouterr().err


def test_a_table_may_name_folders_or_files(tmp_path: Path, model: Path) -> None:
    place = tmp_path / "list.csv"
    request = SegmentationRequest({}, tmp_path / "out", model)
    place.write_text(
        "\ufeffpatient;input;FLAIR;T1;t1c;T2w\nA 1;scans/a;;;;\n;;;;;\n"
        "B;scans/b;/x/f.nii;;;\nC;;f.nii;1.nii;c.nii;2.nii\n"
    )
    a, b, c = find_patients(place, request)
    assert (a.patient, a.request.folder, a.request.inputs) == ("A 1", tmp_path / "scans" / "a", {})
    assert (b.request.folder, b.request.inputs) == (tmp_path / "scans" / "b", {"FLAIR": Path("/x/f.nii")})
    assert (c.request.folder, set(c.request.inputs)) == (None, set(SEQUENCES))
    assert c.request.inputs["T1ce"] == tmp_path / "c.nii"
    assert c.request.output == tmp_path / "out" / "C"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,input\nA,a\n", "has the columns name, input"),
        ("patient,t1,t2\nA,a,b\n", "has the columns"),
        ("patient,input\n../A,a\n", "cannot name a patient"),
        ("patient,input\nA,../../a\n", "leaves the folder of the CSV file"),
        ("patient,input\nA,a\na,b\n", "2 patients named a"),
        ("patient,T1,T1ce,T2,FLAIR,t1n\nA,a,b,c,d,e\n", "several columns for T1: T1, t1n"),
        ("patient,T1_a,T1_b,T1ce,T2,FLAIR\nA,a,b,c,d,e\n", "several columns for T1: T1_a, T1_b"),
        ("patient,input\n", "has no patients"),
        ("patient,input\nA,a\n,b\n", "The row of b in "),
        ("", "is empty"),
    ],
)
def test_a_table_that_names_no_patients_is_refused(text: str, words: str, tmp_path: Path, model: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        find_patients(tmp_path / "list.csv", SegmentationRequest({}, tmp_path / "out", model))


def test_results_may_lie_in_a_folder_beside_the_patients(tmp_path: Path, model: Path) -> None:
    for name in ("P1", "P2", "out", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [j.patient for j in find_patients(tmp_path, SegmentationRequest({}, tmp_path / "out", model))] == [
        "P1",
        "P2",
    ]


def test_a_plain_column_goes_before_one_with_more_words(tmp_path: Path, model: Path) -> None:
    place = tmp_path / "list.csv"
    place.write_text("patient,FLAIR_raw,T1,T1ce,T2,FLAIR,T1_raw,age\nA,wrong,1,c,2,f,wrong,50\n")
    (job,) = find_patients(place, SegmentationRequest({}, tmp_path / "out", model))
    names = {sequence: path.name for sequence, path in job.request.inputs.items()}
    assert names == {"T1": "1", "T1ce": "c", "T2": "2", "FLAIR": "f"}


def test_find_patients_gives_each_session_a_row(tmp_path: Path) -> None:
    for folder in (
        "p1/ses-a/anat",
        "p1/ses-b",
        "p2/2024-05-06",
        "p2/2024-05-06-later",
        "p3/week-4",
        "p4/T1",
        "p4/T2",
        "p5/3",
        "p5/4",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "p7").symlink_to(tmp_path / "none")
    (tmp_path / "p6.tar.gz").touch()
    events: list[Event] = []
    jobs = find_patients(tmp_path, SegmentationRequest({}, tmp_path / "out", tmp_path), events.append)
    assert [job.patient for job in jobs] == [
        *("p1_ses-a", "p1_ses-b", "p2_2024-05-06", "p2_2024-05-06-later", "p3", "p4", "p5", "p7"),
    ]
    assert jobs[1].request.folder == tmp_path / "p1" / "ses-b"
    assert jobs[1].request.output == tmp_path / "out" / "p1_ses-b"
    (event,) = events
    assert isinstance(event, WarningEvent)
    assert "p6.tar.gz" in event.message


def test_find_patients_names_unknown_columns(tmp_path: Path, model: Path) -> None:
    (tmp_path / "list.csv").write_text("patient;input;T2_raw;weight\nA;a;r;70\n")
    events: list[Event] = []
    find_patients(tmp_path / "list.csv", SegmentationRequest({}, tmp_path / "out", model), events.append)
    assert [e.message for e in events if isinstance(e, WarningEvent)] == [
        f"Columns of {tmp_path / 'list.csv'} that were ignored: weight."
    ]


def test_find_patients_warns_of_files_given_to_two_patients(tmp_path: Path, model: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("patient,T1,T1ce,T2,FLAIR\nA,a1,a2,a3,a4\nB,b1,b2,a3,b4\nC,c1,c2,c3,c4\n")
    events: list[Event] = []
    find_patients(table, SegmentationRequest({}, tmp_path / "out", model), events.append)
    (event,) = events
    assert isinstance(event, WarningEvent)
    assert f"gives {tmp_path / 'a3'} to A and B" in event.message
