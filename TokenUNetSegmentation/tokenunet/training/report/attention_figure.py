"""Figure 7 of the paper: TokenLearner maps of a validation case, next to T1, ground truth and prediction."""

import io
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from tokenunet.core.errors import DatasetError
from tokenunet.core.regions import labels_from_regions
from tokenunet.core.terminology import LABEL_STYLES
from tokenunet.data import Case, read_scans, read_truth
from tokenunet.inference.predict import predict
from tokenunet.io.figures import plot_style
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.experiment.fold_bundle import fold_bundle
from tokenunet.training.experiment.fold_folder import FoldFolder
from tokenunet.training.experiment.fold_metrics import measuring_options

_COLUMNS = 4


@dataclass(frozen=True)
class AttentionView:
    """Axial slice of a validation case, cropped to the brain: rows from front to back, columns from right to left.

    Attributes:
        case: Name of the case.
        t1: T1 (H, W) in z-scores.
        maps: TokenLearner maps (N, H, W) in multiples of uniform weights.
        ground_truth: Exclusive labels (H, W) of the ground truth.
        prediction: Exclusive labels (H, W) of the pass that the maps are from.
    """

    case: str
    t1: NDArray[np.float32]
    maps: NDArray[np.float32]
    ground_truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


def attention_view(experiment: Experiment, job: FoldFolder) -> AttentionView:
    """Run a finished fold's network on its first validation case with a tumor, as for its metrics.

    It runs on the CPU, so that it works on any computer. The slice is the one with the most tumor.

    Args:
        experiment: Experiment of the fold.
        job: Fold of an architecture with attention maps.

    Raises:
        TokenUNetError: If a case cannot be read, or none has a tumor.
        OSError: If the weights are missing.
    """
    configuration = experiment.configuration(job.architecture)
    bundle = fold_bundle(job, configuration)
    channels = bundle.manifest.inputs.names
    case, truth_image = _first_with_tumor(experiment, job)
    prepared = prepare(read_scans(case, channels), bundle.manifest.space)
    prediction, _execution = predict(prepared, bundle, measuring_options(configuration, "cpu", attention_maps=True))
    assert prediction.attention is not None
    truth = sitk.GetArrayFromImage(prepared.grid.resample(truth_image, sitk.sitkNearestNeighbor))
    z = int(np.argmax(np.count_nonzero(truth, axis=(1, 2))))
    rows, columns = _box(prepared)
    maps = np.stack(
        [
            sitk.GetArrayFromImage(
                prepared.grid.resample(prediction.attention.grid.image(array), sitk.sitkNearestNeighbor)
            )
            for array in prediction.attention.token_learner
        ]
    )
    return AttentionView(
        case.name,
        prepared.tensor[channels.index("T1") if "T1" in channels else 0, z, rows, columns].numpy(),
        maps[:, z, rows, columns],
        truth[z, rows, columns],
        labels_from_regions(prediction.probabilities[:, z, rows, columns] > 0.5),
    )


def _first_with_tumor(experiment: Experiment, job: FoldFolder) -> tuple[Case, sitk.Image]:
    cases = {case.name: case for case in experiment.dataset.cases}
    for name in experiment.splits.folds[job.fold].validation:
        truth = read_truth(cases[name])
        if sitk.GetArrayViewFromImage(truth).any():
            return cases[name], truth
    raise DatasetError(f"No validation case of fold {job.fold} has a tumor.")


def _box(prepared: Prepared) -> tuple[slice, slice]:
    """Return the bounding box of the brain along y and x."""
    ranges = [np.flatnonzero(prepared.brain.any(axis=axes)) for axes in ((0, 2), (0, 1))]
    y, x = (slice(int(inside[0]), int(inside[-1]) + 1) for inside in ranges)
    return y, x


def draw_attention(view: AttentionView) -> bytes:
    """Draw figure 7 as PNG."""
    rows = -(-len(view.maps) // _COLUMNS)
    height, width = view.t1.shape
    with plot_style():
        figure = Figure(
            figsize=(9, (rows + 1) * 9 / _COLUMNS * height / width + 0.3 * (rows + 1)), layout="constrained"
        )
        panels = figure.subplots(rows + 1, _COLUMNS)
        for axes in panels.flat:
            axes.set_axis_off()
        for number, (array, axes) in enumerate(zip(view.maps, panels.flat, strict=False), start=1):
            axes.imshow(array, cmap="viridis", vmin=0)
            axes.contour(view.t1 != 0, levels=[0.5], colors="black", linewidths=0.5)
            axes.contour(view.ground_truth > 0, levels=[0.5], colors="white", linewidths=0.8)
            axes.set_title(f"TokenLearner {number}: 0 to {array.max():.3g}", fontsize=9)
        _show_labels(panels[-1, 0], view.t1, None, "T1")
        _show_labels(panels[-1, 1], view.t1, view.ground_truth, "ground truth")
        _show_labels(panels[-1, 2], view.t1, view.prediction, "prediction")
        handles = [Patch(color=style.color, label=style.title) for style in LABEL_STYLES.values()]
        panels[-1, 3].legend(handles=handles, loc="center left")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _show_labels(axes: Axes, t1: NDArray[np.float32], labels: NDArray[np.uint8] | None, title: str) -> None:
    low, high = np.percentile(t1[t1 != 0], [1, 99.5])
    axes.imshow(np.where(t1 == 0, low, t1), cmap="gray", vmin=low, vmax=high)
    if labels is not None:
        colors = ListedColormap([LABEL_STYLES[name].color for name in ("NCR", "ED", "ET")])
        index = np.searchsorted([style.label for style in LABEL_STYLES.values()], labels)
        axes.imshow(np.ma.masked_where(labels == 0, index), cmap=colors, vmin=0, vmax=2, interpolation="nearest")
    axes.set_title(title, fontsize=9)
