"""The extension's package: what CMake lists is what is there, and it runs from where Slicer installs it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from model_fixtures import small_bundle

ROOT = Path(__file__).resolve().parents[2]
SHARED_FOLDERS = ("Atlas", "BrainExtraction", "Models")
MODULES = ("TokenUNetSegmentation", "TokenUNetTraining")
NOT_INSTALLED = ("slicer_offscreen",)
"""Stands in for the application, which is there."""


def listed_files(module: str) -> set[str]:
    """Files in the lists of a module's ``sources.cmake``."""
    lines = (ROOT / module / "sources.cmake").read_text().splitlines()
    return {line.strip() for line in lines if line.startswith("  ") and line.strip() != ")"}


def files_on_disk(module: str) -> set[str]:
    """Files of a module that are meant to be installed."""
    folder = ROOT / module
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
        and path.name not in ("CMakeLists.txt", "sources.cmake")
        and path.relative_to(folder).parts[0] not in NOT_INSTALLED
    }


@pytest.mark.parametrize("module", MODULES)
def test_cmake_lists_exactly_the_files_on_disk(module: str) -> None:
    assert listed_files(module) == files_on_disk(module), "run: python tools/list_cmake_sources.py"


def test_modules_share_no_file_name() -> None:
    """All modules are installed into one folder."""
    names = [name for module in MODULES for name in listed_files(module)]
    assert len(names) == len(set(names))


def run_cmake(*arguments: str) -> "subprocess.CompletedProcess[str]":
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert cmake, "CMake comes with pip install .[test]"
    return subprocess.run([cmake, *arguments], capture_output=True, text=True, check=False)


def test_a_slicer_that_is_too_old_is_refused_when_it_is_built(tmp_path: Path) -> None:
    slicer = f"-DSlicer_DIR={Path(__file__).parent / 'slicer'}"
    run = run_cmake("-S", str(ROOT), "-B", str(tmp_path), slicer, "-DSlicer_REQUIRED_PYTHON_VERSION=3.9.10")
    assert run.returncode != 0
    assert "needs Slicer 5.10 or newer" in run.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripted modules of an installed extension, made by the real CMake with a stand-in for Slicer."""
    build = tmp_path_factory.mktemp("build")
    prefix = tmp_path_factory.mktemp("installed")
    package = Path(__file__).parent / "slicer"
    for arguments in (
        ["-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={package}"],
        ["--install", str(build), "--prefix", str(prefix), "--component", "RuntimeLibraries"],
    ):
        run = run_cmake(*arguments)
        assert run.returncode == 0, run.stderr
    (folder,) = prefix.rglob("qt-scripted-modules")
    return folder


def test_package_holds_what_is_listed(installed: Path) -> None:
    everything = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    shared = {name for name in everything if name.startswith(tuple(f"Resources/{f}/" for f in SHARED_FOLDERS))}
    assert everything - shared == set().union(*map(listed_files, MODULES))
    assert "Resources/Models/default/model.json" in shared
    assert "Resources/Atlas/LICENSE.txt" in shared
    assert "Resources/BrainExtraction/weights.safetensors" in shared


def test_installed_library_finds_what_ships_with_it(installed: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import tokenunet\n"
        "from tokenunet.io.resources import resource\n"
        "from TokenUNetSegmentationLib.logic.model_list import available_models\n"
        "print(tokenunet.__file__, resource('Atlas'), *available_models(), sep='\\n')"
    )
    run = subprocess.run([sys.executable, "-c", script, installed], capture_output=True, text=True, check=True)
    module, atlas, *models = run.stdout.splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(atlas) == installed / "Resources" / "Atlas"
    assert {"default", "synthetic_only"} <= set(models)


def test_installed_worker_segments(installed: Path, tmp_path: Path) -> None:
    """The way of a click: the worker script in the package, on files as the module writes them."""
    from scene.synthetic_output import write_patient

    patient = write_patient(tmp_path / "patient")
    (tmp_path / "work").mkdir()
    files = [word for name, path in patient.inputs.items() for word in (f"--{name.lower()}", str(path))]
    command = [
        "segment",
        *files,
        "--output",
        str(tmp_path / "output"),
        "--model",
        str(small_bundle(tmp_path / "model")),
    ]
    script = installed / "TokenUNetSegmentationLib" / "process" / "watched_worker.py"
    run = subprocess.run(
        [sys.executable, str(script), str(os.getpid()), str(tmp_path / "work"), *command, "--attention-maps"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "output" / "run.json").is_file()


def test_installed_training_finds_all_it_needs(installed: Path, tmp_path: Path) -> None:
    """The Training module's script in the package gets as far as to look for patients."""
    (tmp_path / "patients").mkdir()
    command = ["train", "--data", str(tmp_path / "patients"), "--output", str(tmp_path / "out"), "--progress", "json"]
    script = installed / "TokenUNetTrainingLib" / "process" / "detached_training.py"
    run = subprocess.run(
        [sys.executable, str(script), str(os.getpid()), str(tmp_path), *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 3, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["code"] == "bad_dataset"


def test_index_entry_has_the_fields_of_its_schema() -> None:
    """The Extensions Index accepts these fields and no others (schema v1.0.2)."""
    entry = json.loads((ROOT / "Resources" / "TokenUNet.json").read_text())
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert set(entry) <= {
        "$schema",
        "build_dependencies",
        "build_subdirectory",
        "category",
        "dicom_support_rule",
        "enabled",
        "scm_revision",
        "scm_type",
        "scm_url",
        "tier",
    }
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert entry["build_dependencies"] == re.findall(r'EXTENSION_DEPENDS "(\w+)"', cmake)
    homepage = re.search(r'EXTENSION_HOMEPAGE "([^"]+)"', cmake)
    assert homepage and entry["scm_url"].removesuffix(".git") == homepage[1]


def test_pictures_of_the_index_are_in_the_repository() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    urls = re.findall(r"https://raw\.githubusercontent\.com/[^\s\"]+", cmake)
    assert len(urls) >= 2
    for url in urls:
        assert (ROOT / url.split("/main/")[1]).is_file(), url
