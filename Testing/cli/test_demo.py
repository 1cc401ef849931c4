"""``tokenunet demo``: from nothing to a page, a scene and pictures, on real displayable managers."""

import html.parser
import json
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from model_fixtures import SMALL_MANIFEST, small_bundle
from tokenunet.cli import main
from tokenunet.synthesis import synthetic_patient, write_patient


class Page(html.parser.HTMLParser):
    """Collects what a page shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attributes)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    model = small_bundle(tmp_path / "tiny", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)))
    patient = write_patient(synthetic_patient(1, spacing=4.0), tmp_path / "patients")
    return ["demo", "--input", str(patient), "--output", str(tmp_path / "out"), "--model", str(model)]


def test_the_page_needs_no_other_file_and_shows_everything(command: list[str], tmp_path: Path) -> None:
    assert main(command) == 0
    out = tmp_path / "out"
    page = Page(out / "report.html")
    assert len(page.pictures) == 3 + 1 + 8 + 8
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    report = json.loads((out / "run.json").read_text())
    for words in (
        "whole tumor",
        f"{report['volumes_ml']['WT']:.2f} ml",
        "not a medical device",
        "Dice",
        "Tiny random",
    ):
        assert words in page.text
    for name in ("labels.nii.gz", "segmentation.seg.nrrd", "scene.mrb", "overlays/token_fuser/token_fuser_8.nii.gz"):
        assert (out / name).stat().st_size > 0
    for picture in (out / "pictures").iterdir():
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(picture))
        assert pixels.std() > 5  # something is drawn


def test_without_opengl_the_page_says_why_it_has_no_pictures(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")  # not part of the package
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_DIRS", str(tmp_path))
    assert main(command) == 0
    page = Page(tmp_path / "out" / "report.html")
    assert page.pictures == []
    assert "There are no pictures" in page.text
    assert "There are no pictures" in capsys.readouterr().err


def test_the_page_shows_an_ensembles_range_of_volumes(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")  # pictures are not what is looked at
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_DIRS", str(tmp_path))
    ensemble = small_bundle(tmp_path / "folds", replace(SMALL_MANIFEST, spacing=(4.0, 4.0, 4.0)), members=2)
    assert main([*command[:-1], str(ensemble)]) == 0
    page = Page(tmp_path / "out" / "report.html")
    report = json.loads((tmp_path / "out" / "run.json").read_text())
    for name in ("WT", "TC", "ET", "NCR", "ED"):
        low, high = report["volumes_range_ml"][name]
        assert f"{low:.2f} to {high:.2f} ml" in page.text
    assert "Over 2 folds" in page.text
    assert "ensemble of 2 networks" in page.text
