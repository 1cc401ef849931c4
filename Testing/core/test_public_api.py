"""The public names of `tokenunet`: quick to import, and the same result as the command's."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tokenunet
from model_fixtures import small_bundle
from tokenunet.bundle.store import DEFAULT_MODEL
from tokenunet.core.errors import DatasetError, UsageError
from tokenunet.synthesis import write_patient

PACKAGE = Path(tokenunet.__file__).parent
SKIPPED = "doctest: +SKIP"  # what needs a patient's files
WITH_EXAMPLES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if any("    >>> " in line and SKIPPED not in line for line in path.read_text(encoding="utf-8").splitlines())
]
LIMIT_S = 0.1
MEASURE = """
import sys, time
start = time.process_time()
import tokenunet
print(time.process_time() - start, bool({"torch", "monai", "numpy"} & set(sys.modules)))
"""


def test_import_takes_under_a_tenth_of_a_second_without_torch() -> None:
    runs = [subprocess.check_output([sys.executable, "-c", MEASURE], text=True).split() for _ in range(3)]
    assert {heavy for _, heavy in runs} == {"False"}
    assert min(float(seconds) for seconds, _ in runs) < LIMIT_S


def test_public_names_resolve() -> None:
    assert all(callable(getattr(tokenunet, name)) for name in tokenunet.__all__)
    assert DEFAULT_MODEL in [model.name for model in tokenunet.list_models()]
    with pytest.raises(AttributeError, match="has no attribute 'segmnt'"):
        tokenunet.segmnt  # noqa: B018


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_docstring_examples_run(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted and not outcome.failed


def test_segment_returns_arrays_and_writes_only_what_was_asked_for(tmp_path: Path) -> None:
    patient = write_patient(tokenunet.synthetic_patient(5, spacing=4.0), tmp_path / "patients")
    model = small_bundle(tmp_path / "model")
    result = tokenunet.segment(study=patient, model=model, device="cpu", output=tmp_path / "out")
    written = sitk.ReadImage(tmp_path / "out" / "labels.nii.gz")
    np.testing.assert_array_equal(result.labels, sitk.GetArrayFromImage(written))
    assert result.regions.shape == (3, *result.labels.shape)
    assert result.grid.size == written.GetSize()
    assert {o.group for o in result.overlays.values()} == {"token_learner", "token_fuser"}
    before = sorted(tmp_path.rglob("*"))
    again = tokenunet.segment(study=patient, model=model, device="cpu", overlays=False)
    np.testing.assert_array_equal(again.labels, result.labels)
    assert not again.overlays
    assert sorted(tmp_path.rglob("*")) == before


def test_segment_without_all_sequences_is_refused() -> None:
    with pytest.raises(UsageError, match="No file was given for T1ce, FLAIR"):
        tokenunet.segment(t1="t1.nii.gz", t2="t2.nii.gz")


def test_train_without_patients_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No patients were found"):
        tokenunet.train(tmp_path, tmp_path / "experiment", architectures=("unet_star",))
    assert not (tmp_path / "experiment").exists()
