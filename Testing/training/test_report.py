"""The page that shows an experiment, and the numbers behind its figures."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import SimpleITK as sitk
import torch
from dataset_fixtures import true_labels, write_dataset
from scan_fixtures import GRID
from tokenunet.data import read_dataset
from tokenunet.networks import build_network
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_folder import append_log
from tokenunet.training.experiment.summary import SCORES, summarize
from tokenunet.training.report.attention_figure import attention_view, draw_attention
from tokenunet.training.report.figures import average_losses, boxes, bubbles, draw_boxes, fold_curves
from tokenunet.training.report.page import devices, headline, training_report, unfinished, worst_cases, write_report
from training_fixtures import EPOCHS, PARAMETERS, absent_dataset, fabricated_experiment

ARCHITECTURES = ("token_unet_transformer", "unet")
TINY = {"arguments": {"channels": [4, 8, 8, 16]}, "spacing": 3.0, "patch_size": (32, 32, 32)}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return fabricated_experiment(tmp_path_factory.mktemp("report") / "experiment", ARCHITECTURES, folds=3)


@pytest.fixture
def half(tmp_path: Path) -> Experiment:
    """One fold of one architecture is finished, the next one at half its epochs."""
    return fabricated_experiment(tmp_path / "experiment", ARCHITECTURES, folds=3, finished=1)


@pytest.fixture(scope="module")
def with_weights(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """One finished fold each of two tiny networks with random weights, on patients that exist."""
    folder = tmp_path_factory.mktemp("weights")
    dataset = read_dataset(write_dataset(folder / "patients", 2))
    experiment = fabricated_experiment(
        folder / "experiment", ("token_unet", "unet_star"), folds=2, finished=2, dataset=dataset, overrides=TINY
    )
    for job in experiment.jobs():
        if job.finished:
            torch.manual_seed(0)
            network = build_network(job.architecture, **TINY["arguments"])  # type: ignore[arg-type]
            job.last_weights.write_bytes(safetensors.torch.save(network.state_dict()))
    return experiment


class Page(HTMLParser):
    """Texts and pictures of a page; every tag must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_needs_no_other_file(experiment: Experiment) -> None:
    write_report(experiment)
    html = experiment.report.read_text()
    page = Page(html)
    assert not re.search(r"https?:|@import|url\(|<script|<link", html)
    assert len(page.addresses) == 3
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    for address in page.addresses:
        drawing = base64.b64decode(address.partition(",")[2]).decode()
        assert not re.search(r'(href|src)="(?!#|data:)', drawing)


def test_the_page_says_what_was_found_and_what_was_run(experiment: Experiment) -> None:
    text = Page(training_report(experiment)).text
    summary = summarize(experiment)
    for architecture in summary.architectures.values():
        for spread in architecture.dice.values():
            assert f"{spread.mean:.3f} ± {spread.std:.3f}" in text
    for cases in worst_cases(summary).values():
        assert all(f"{case.case} {case.patient} {case.fold} " in text for case in cases)
    assert experiment.description["dataset"]["fingerprint"] in text
    assert f"epochs {EPOCHS} " in text
    assert "patch_size 64 × 64 × 64" in text  # noqa: RUF001
    assert "Not finished" not in text


def test_the_worst_cases_are_those_with_the_lowest_mean(experiment: Experiment) -> None:
    for architecture, worst in worst_cases(summarize(experiment)).items():
        files = (experiment.folder / architecture).glob("fold_*/metrics.json")
        cases = [case for file in files for case in json.loads(file.read_text())["cases"]]
        expected = sorted(cases, key=lambda case: case["dice"]["mean"])[:5]
        assert [case.case for case in worst] == [case["case"] for case in expected]


def test_the_headline_names_the_best_and_its_lead(experiment: Experiment) -> None:
    summary = summarize(experiment)
    test = next(c for c in summary.comparisons if c.region == "mean")
    assert test.p_corrected is not None
    assert test.p_corrected < 0.05
    said = headline(experiment, summary)
    assert said.startswith("On 18 validation cases of 3 of 3 folds, token_unet_transformer reached the highest")
    assert "more than chance explains" in said


def test_a_half_finished_experiment_has_a_page(half: Experiment) -> None:
    append_log(half.log, {"event": "fold_failed", "architecture": "unet", "fold": 1, "message": "The disk was full."})
    text = Page(training_report(half)).text
    assert "5 of 6 folds are not finished" in text
    assert "token_unet_transformer reached a mean Dice of" in text
    assert "A test needs two architectures" in text
    assert f"unet 0 {EPOCHS // 2} of {EPOCHS}" in text
    assert f"unet 1 0 of {EPOCHS} The disk was full." in text
    assert next((u.architecture, u.fold, u.epochs) for u in unfinished(half)) == ("unet", 0, EPOCHS // 2)


def test_architectures_with_different_folds_are_not_ranked(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ARCHITECTURES, folds=3, finished=3)
    said = headline(experiment, summarize(experiment))
    assert "highest" not in said
    assert "do not compare" in said
    assert "their means do not compare" in Page(training_report(experiment)).text


def test_an_experiment_with_one_architecture_has_a_page(tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ("unet",), folds=2)
    text = Page(training_report(experiment)).text
    assert "unet reached a mean Dice of" in text
    assert "A test needs two architectures" in text
    assert "TokenLearner attention maps" not in text


@pytest.mark.parametrize("begun", [False, True])
def test_an_experiment_with_nothing_finished_has_a_page(begun: bool, tmp_path: Path) -> None:
    experiment = fabricated_experiment(tmp_path / "experiment", ARCHITECTURES, folds=2, finished=0)
    if not begun:
        experiment.jobs()[0].log.unlink()
    page = Page(training_report(experiment))
    assert "No fold is finished yet." in page.text
    assert len(page.addresses) == begun


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """Names of folders and patients come from users; they must neither be HTML nor break a figure."""
    dataset = absent_dataset(4)
    cases = tuple(replace(case, patient=f"<b>A</b>&$x_{{${n}") for n, case in enumerate(dataset.cases))
    dataset = replace(dataset, folder=Path("<i>data</i>&$x_{$"), cases=cases)
    html = training_report(fabricated_experiment(tmp_path / "a<u>b", ("unet",), folds=2, dataset=dataset))
    assert not re.search("<b>|<i>|<u>", html)
    assert "<i>data</i>&$x_{$" in Page(html).text


def test_several_cases_of_a_patient_are_pointed_out(experiment: Experiment, tmp_path: Path) -> None:
    said = "Some patients have several cases here"
    assert said not in Page(training_report(experiment)).text
    dataset = absent_dataset(8)
    cases = tuple(replace(case, patient=f"P{n // 2}") for n, case in enumerate(dataset.cases))
    repeated = fabricated_experiment(tmp_path / "x", ARCHITECTURES, folds=2, dataset=replace(dataset, cases=cases))
    assert said in Page(training_report(repeated)).text


def test_figure_4_shows_time_memory_and_parameters(experiment: Experiment) -> None:
    for bubble in bubbles(summarize(experiment)):
        files = (experiment.folder / bubble.architecture).glob("fold_*/metrics.json")
        metrics = [json.loads(file.read_text()) for file in files]
        assert bubble.seconds == np.median([case["seconds"] for m in metrics for case in m["cases"]])
        assert bubble.gigabytes == max(m["inference"]["peak_memory_bytes"] for m in metrics) / 1e9
        assert bubble.parameters == PARAMETERS[bubble.architecture]


def test_figure_5_shows_the_logs(half: Experiment) -> None:
    finished, begun = fold_curves(half)
    logged = [json.loads(line) for line in half.jobs()[0].log.read_text().splitlines()]
    assert list(finished.losses.values()) == [line["loss"] for line in logged if line["event"] == "epoch"]
    assert finished.dice == {line["epoch"]: line["dice"]["mean"] for line in logged if line["event"] == "validation"}
    epoch = finished.epoch_of_90_percent
    assert epoch is not None
    fallen = {
        e: (finished.losses[1] - loss) / (finished.losses[1] - finished.losses[EPOCHS])
        for e, loss in finished.losses.items()
    }
    assert fallen[epoch] >= 0.9 > max(share for e, share in fallen.items() if e < epoch)
    assert not begun.finished
    assert begun.epoch_of_90_percent is None
    assert list(begun.losses) == list(range(1, EPOCHS // 2 + 1))
    assert average_losses([finished, begun]) == list(finished.losses.values())


def test_figure_6_has_every_case_in_the_box_of_its_fold(experiment: Experiment) -> None:
    shown = boxes(summarize(experiment))
    assert len(shown) == len(ARCHITECTURES) * 3 * len(SCORES)
    for box in shown:
        metrics = json.loads((experiment.folder / box.architecture / f"fold_{box.fold}" / "metrics.json").read_text())
        assert box.dice == tuple(case["dice"][box.score] for case in metrics["cases"])


def test_the_same_numbers_give_the_same_drawing(experiment: Experiment) -> None:
    shown = boxes(summarize(experiment))
    assert draw_boxes(shown) == draw_boxes(shown)


def test_figure_7_shows_maps_next_to_the_slice_with_the_most_tumor(with_weights: Experiment) -> None:
    job = with_weights.fold("token_unet", 0)
    view = attention_view(with_weights, job)
    assert view.case == with_weights.splits.folds[0].validation[0]
    areas = (true_labels() > 0).sum(axis=(1, 2))
    assert (view.ground_truth > 0).sum() == areas.max()
    assert view.maps.shape == (8, *view.t1.shape)
    assert view.prediction.shape == view.ground_truth.shape == view.t1.shape
    assert set(np.unique(view.prediction)) <= {0, 1, 2, 4}
    # The pictures lie on each other: the T1 is the scan's, where the truth marks tumor.
    case = next(case for case in with_weights.dataset.cases if case.name == view.case)
    scan = sitk.GetArrayFromImage(sitk.ReadImage(str(case.images["T1"].path)))[int(areas.argmax())]
    inside = true_labels(int(view.case[-1]))[int(areas.argmax())] > 0
    assert np.corrcoef(view.t1[view.ground_truth > 0], scan[inside])[0, 1] == pytest.approx(1)
    assert draw_attention(view).startswith(b"\x89PNG")


def test_the_page_shows_the_maps_of_architectures_that_have_them(with_weights: Experiment) -> None:
    page = Page(training_report(with_weights))
    assert sum(address.startswith("data:image/png") for address in page.addresses) == 1
    assert "token_unet, fold 0" in page.text
    assert "unet_star, fold 0" not in page.text


@pytest.mark.parametrize("lost", ["weights", "scan", "truth", "tumor"])
def test_without_data_or_weights_the_page_says_why_it_has_no_attention_maps(
    lost: str, with_weights: Experiment
) -> None:
    job = with_weights.fold("token_unet", 0)
    case = next(c for c in with_weights.dataset.cases if c.name == with_weights.splits.folds[0].validation[0])
    assert case.truth is not None
    path = {"weights": job.last_weights, "scan": case.images["T1"].path}.get(lost, case.truth)
    aside = path.rename(path.with_name("aside"))
    if lost == "tumor":
        sitk.WriteImage(GRID.image(np.zeros_like(true_labels())), path)
    try:
        page = Page(training_report(with_weights))
    finally:
        aside.replace(path)
    assert not any(address.startswith("data:image/png") for address in page.addresses)
    assert "There is no picture of attention maps. " in page.text
    assert ("has a tumor" if lost == "tumor" else path.name) in page.text


def test_a_device_is_named_once(experiment: Experiment) -> None:
    assert devices(experiment) == ["cpu, 32-true"]
