"""Folders of patients, and ``tokenunet segment --batch`` on them in a process of its own."""

import csv
import shutil
from pathlib import Path
from typing import Any

import psutil
import SimpleITK as sitk
from processes import ForkedProcess, start_command
from tokenunet.core.sequences import SEQUENCES
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.request import SegmentationRequest

Table = dict[str, dict[str, str]]
VOLUMES = ["WT_ml", "TC_ml", "ET_ml", "NCR_ml", "ED_ml"]
BROKEN = {"patient_03": "missing_sequence", "patient_08": "unreadable_image", "patient_09": "unusable_image"}


def write_patients(folder: Path, three: list[Path], numbers: list[int]) -> Path:
    """Folders ``patient_01`` and so on, of which those named in `BROKEN` are."""
    for number in numbers:
        name = f"patient_{number:02d}"
        shutil.copytree(three[number % 3], folder / name)
        files = {s: next((folder / name).glob(f"*_{s.lower()}.nii.gz")) for s in SEQUENCES}
        match BROKEN.get(name):
            case "missing_sequence":
                files["T2"].unlink()
            case "unreadable_image":
                files["FLAIR"].write_bytes(files["FLAIR"].read_bytes()[:5000])
            case "unusable_image":
                constant = sitk.ReadImage(files["T1"]) * 0 + 7
                sitk.WriteImage(constant, files["T1"])
    return folder


def command(patients: Path, output: Path, model: Path) -> list[str]:
    return [
        *("segment", "--batch", str(patients), "--output", str(output), "--model", str(model)),
        *("--device", "cpu", "--precision", "fp32"),
    ]


def start(command: list[str], *more: str) -> ForkedProcess:
    return start_command([*command, *more, "--progress", "json"])


def table(output: Path) -> Table:
    with (output / "summary.csv").open(newline="") as file:
        return {row["patient"]: row for row in csv.DictReader(file)}


def without_time(rows: Table) -> Table:
    return {name: row | {"seconds": ""} for name, row in rows.items()}


def moments(output: Path) -> dict[Path, int]:
    """When the files of the patients that are done were written."""
    done = [report.parent for report in output.glob("*/run.json")]
    return {path: path.stat().st_mtime_ns for folder in done for path in folder.rglob("*") if path.is_file()}


def job(patient: Path, output: Path, model: Path, **options: Any) -> PatientJob:
    return PatientJob(patient.name, SegmentationRequest({}, output / patient.name, model, patient, **options))


def workers_of(pid: int) -> list[psutil.Process]:
    """Without multiprocessing's own helper, which ends in its own time."""
    return [child for child in psutil.Process(pid).children() if any("spawn_main" in word for word in child.cmdline())]
