"""Cases of an experiment's folds, from the cache or generated during training."""

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
    """Prepare all cases of an experiment, after generating synthetic validation patients.

    Args:
        experiment: Experiment of the cases.
        progress: Progress to update.

    Raises:
        Cancelled: If a stop was requested.
        TokenUNetError: If a case cannot be read, or the cache cannot be written.
    """
    dataset = experiment.dataset
    spacings = sorted({experiment.configuration(name).spacing for name in experiment.plan.architectures})

    def on_case(done: int) -> None:
        check_stop(experiment)
        progress.update(Stage.PREPARE, done / len(dataset.cases))

    if experiment.synthetic:
        write_validation_patients(dataset, spacings[0], on_case)
    for spacing in spacings:
        cached_cases(dataset.cases, spacing, experiment.cache, on_case, dataset.channels)


def training_cases(
    experiment: Experiment, configuration: TrainingConfiguration, cases: Sequence[Case]
) -> Sequence[TrainingCase]:
    """Return the training cases of a fold: real, synthetic or mixed, as configured.

    Args:
        experiment: Experiment of the fold.
        configuration: Settings of the training.
        cases: Training cases of the dataset.
    """
    c = configuration
    if not c.synthetic_patients:
        return prepared_cases(cases, c, experiment)
    number, mixed = c.epochs * c.synthetic_patients, bool(c.real_share)
    synthetic = SyntheticCases(experiment.plan.seed, c.first_patient, number, c.spacing, complete=mixed)
    if not mixed:
        return synthetic
    real = prepared_cases(cases, c, experiment)
    return MixedCases(real, synthetic, c.real_share, c.spacing, experiment.plan.seed)


def prepared_cases(
    cases: Sequence[Case], configuration: TrainingConfiguration, experiment: Experiment
) -> list[TrainingCase]:
    """Return cases from the cache in the given order; those deleted in the meantime are prepared again."""
    ready = cached_cases(cases, configuration.spacing, experiment.cache, lambda done: None, configuration.channels)
    return [ready[case.name] for case in cases]


def check_stop(experiment: Experiment) -> None:
    """Check whether an immediate stop was requested.

    Raises:
        Cancelled: If it was.
    """
    if experiment.stop_requested() == "now":
        raise Cancelled("Stopped; the state is saved. Use --resume to continue.")
