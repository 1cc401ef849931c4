import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenunet.core.errors import OutputBusyError, OutputError
from tokenunet.io.files import file_name, locked_folder, staging_folder


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("text", "name"), [("a/b: c?", "a_b_ c_"), ("Größe 3 (2)", "Größe 3 _2_"), ("..", "scan")])
def test_file_name_has_no_special_characters(text: str, name: str) -> None:
    assert file_name(text) == name


def test_files_and_folders_arrive_together(tmp_path: Path) -> None:
    with staging_folder(tmp_path / "new", last="run.json") as staging:
        (staging / "a").write_text("1")
        (staging / "masks").mkdir()
        (staging / "masks" / "b").write_text("2")
        (staging / "run.json").write_text("3")
        assert contents(tmp_path / "new").keys() & {"a", "run.json"} == set()
    assert contents(tmp_path / "new") == {"a": "1", "masks/b": "2", "run.json": "3"}


def test_an_error_leaves_earlier_results_untouched(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("earlier")
    with pytest.raises(ZeroDivisionError), staging_folder(tmp_path, replaces=("*",), last="run.json") as staging:
        (staging / "run.json").write_text("half")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"run.json": "earlier"}


def test_an_error_leaves_no_new_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), staging_folder(tmp_path / "new"):
        raise ZeroDivisionError
    assert not (tmp_path / "new").exists()


def test_stale_results_go_and_other_files_stay(tmp_path: Path) -> None:
    for name in ("labels_T1.nii.gz", "run.json", "notes.txt"):
        (tmp_path / name).write_text("earlier")
    with staging_folder(tmp_path, replaces=("labels*", "run.json"), last="run.json") as staging:
        (staging / "run.json").write_text("new")
    assert contents(tmp_path) == {"notes.txt": "earlier", "run.json": "new"}


OVERLAY_FILES = ("masks/token_learner_9.nii.gz", "overlays/token_learner/token_learner_9.nii.gz")


def test_files_of_others_stay_in_the_same_folders_too(tmp_path: Path) -> None:
    from tokenunet.inference.output import result_patterns

    mine = ("labels_radiologist.nii.gz", "masks/radiologist.nii.gz", "transforms/mine.tfm")
    exports = ("report.html", "report.pdf", "measurements.dcm", "key_slice_12.dcm")
    for name in (*mine, *OVERLAY_FILES, "transforms/T2.tfm", "labels_T2.nii.gz", *exports, "run.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("earlier")
    with staging_folder(tmp_path, replaces=result_patterns(), last="run.json") as staging:
        (staging / "run.json").write_text("new")
    assert contents(tmp_path) == dict.fromkeys(mine, "earlier") | {"run.json": "new"}
    assert not (tmp_path / "overlays").exists()


def test_folders_made_for_nothing_are_removed(tmp_path: Path) -> None:
    for make in (staging_folder, locked_folder):
        with make(tmp_path / "a" / "b"):
            pass
        assert not (tmp_path / "a").exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tokenunet.io.files import staging_folder\n"
        "with staging_folder(Path(sys.argv[1])) as s:\n"
        "    (s / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with staging_folder(tmp_path):
        assert len(list(tmp_path.glob(".unfinished-*"))) == 2  # a living process keeps its own
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with staging_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = r"Results cannot be written to .*file/results: Not a directory\."
    with pytest.raises(OutputError, match=sentence), staging_folder(tmp_path / "file" / "results"):
        pass


def test_locked_folder_refuses_a_second_run(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; from tokenunet.io.files import locked_folder\n"
        "with locked_folder(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(OutputBusyError, match=f"{folder} is being written"), locked_folder(folder):
        pass
    other.kill()
    other.communicate()
    with locked_folder(folder):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


@pytest.mark.parametrize("context", [staging_folder, locked_folder])
def test_names_that_are_too_long_are_an_error_of_output(context: Any, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long"), context(tmp_path / ("x" * 300)):
        pass
