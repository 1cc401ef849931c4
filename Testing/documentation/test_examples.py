"""The examples of README.md and docs/ run: Python blocks, and ``tokenunet`` commands in ``bash`` blocks.

Every page runs in a folder of its own that holds small synthetic patients under the names that the pages use. Commands
that take minutes are only parsed. Blocks marked ``text`` are shown and not run.
"""

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
from dataset_fixtures import write_dataset, write_patient_folder
from model_fixtures import small_bundle
from tokenunet import cli

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if BLOCK.search(page.read_text())]
PARSED_ONLY = ("synth", "train", "export", "evaluate", "benchmark", "demo")
FILE_NAMES = {"t1": "a", "t1ce": "b", "t2": "c", "flair": "d"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages name."""
    folder = tmp_path_factory.mktemp("files")
    write_dataset(folder / "patients", patients=2)
    write_patient_folder(folder / "patients", "synthetic_00005", seed=5)
    shutil.copytree(folder / "patients", folder / "cases")
    for name in ("patient", "study"):
        shutil.copytree(folder / "patients" / "P_0", folder / name)
    (folder / "scans").mkdir()
    for sequence, name in FILE_NAMES.items():
        shutil.copy(folder / "patient" / f"P_0_{sequence}.nii", folder / "scans" / f"{name}.nii")
    small_bundle(folder / "my_model")
    return folder


@pytest.fixture
def workplace(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, as the current folder; models are imported below it."""
    shutil.copytree(files, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TOKENUNET_MODELS", str(tmp_path / "models"))
    for name in PARSED_ONLY:
        monkeypatch.setattr(importlib.import_module(f"tokenunet.cli.{name}"), "run", lambda options, on_event: None)
    return tmp_path / "work"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page: Path, workplace: Path) -> None:
    names: dict[str, object] = {}
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, page.name, "exec"), names)
        else:
            for line in text.replace("\\\n", " ").splitlines():
                run_command(line)


def run_command(line: str) -> None:
    """Run one line, with a small network and in this process."""
    program, *arguments = shlex.split(line, comments=True) or [""]
    if not program:
        return
    assert program == "tokenunet", f"only tokenunet is run in bash blocks, not {line!r}"
    if arguments[0] == "segment":
        arguments += ["--device", "cpu"] + (["--jobs", "1"] if "--batch" in arguments else [])
        arguments += [] if "--model" in arguments else ["--model", "my_model"]
        arguments = [argument.replace(".nii.gz", ".nii") for argument in arguments]
    assert cli.main(arguments) == 0, line
