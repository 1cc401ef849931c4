"""The cases of an experiment's folds: prepared and in the cache, or made while they are learned from."""

from collections.abc import Sequence

from tokenunet.core.errors import Cancelled
from tokenunet.core.events import Progress, Stage
from tokenunet.data import Case
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.experiment import Experiment
from tokenunet.training.samples.cache import cached_cases
from tokenunet.training.samples.cases import TrainingCase
from tokenunet.training.samples.mixed import MixedCases
from tokenunet.training.samples.synthetic import SyntheticCases, write_validation_patients


def prepare_cases(experiment: Experiment, progress: Progress) -> None:
    """Fills the cache with all cases that the folds need; synthetic patients are made first."""
    dataset = experiment.dataset
    spacings = sorted({experiment.configuration(name).spacing for name in experiment.plan.architectures})

    def on_case(done: int) -> None:
        check_stop(experiment)
        progress.update(Stage.PREPARE, done / len(dataset.cases))

    if experiment.synthetic:
        write_validation_patients(dataset, spacings[0], on_case)
    for spacing in spacings:
        cached_cases(dataset.cases, spacing, experiment.cache, on_case)


def training_cases(
    experiment: Experiment, configuration: TrainingConfiguration, cases: Sequence[Case]
) -> Sequence[TrainingCase]:
    """What a network learns from: the cases, or the patients that its configuration asks for."""
    c = configuration
    if not c.synthetic_patients:
        return prepared_cases(cases, c, experiment)
    synthetic = SyntheticCases(experiment.plan.seed, c.first_patient, c.epochs * c.synthetic_patients, c.spacing)
    if not c.real_share:
        return synthetic
    real = prepared_cases(cases, c, experiment)
    return MixedCases(real, synthetic, c.real_share, c.spacing, experiment.plan.seed)


def prepared_cases(
    cases: Sequence[Case], configuration: TrainingConfiguration, experiment: Experiment
) -> list[TrainingCase]:
    """The cases out of the cache, in their order; those that were deleted since are prepared again."""
    ready = cached_cases(cases, configuration.spacing, experiment.cache, lambda done: None)
    return [ready[case.name] for case in cases]


def check_stop(experiment: Experiment) -> None:
    """Raises Cancelled after a request to stop at once."""
    if experiment.stop_requested() == "now":
        raise Cancelled("Stopped; everything is saved. --resume goes on from there.")
