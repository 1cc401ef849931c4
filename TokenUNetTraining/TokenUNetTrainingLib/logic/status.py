"""State of a training, from the experiment's folder and the process that was started."""

from dataclasses import dataclass

from TokenUNetTrainingLib.logic.run import ExperimentWatch, TrainingRun


@dataclass(frozen=True)
class TrainingStatus:
    """State of a training.

    Attributes:
        running: Whether a process trains, or is about to.
        finished: Whether all folds are trained and measured.
        stage: What is being done: `check`, `prepare` or `train`.
        fraction: Completed part of the stage, from 0 to 1.
        seconds_left: Seconds to the end; None if unknown.
        problem: Why the training ended or the folder cannot be read, as a sentence; empty if all is well.
    """

    running: bool
    finished: bool
    stage: str
    fraction: float
    seconds_left: float | None
    problem: str


def status_of(watch: ExperimentWatch, run: TrainingRun | None) -> TrainingStatus:
    """Return the state of a training.

    Args:
        watch: State of the experiment in the folder.
        run: Process that was started here; None if there is none.
    """
    progress, event = watch.progress, run.progress if run is not None else None
    stage, fraction, seconds = "train", 0.0, None
    if event is not None and event.stage != "train":
        stage, fraction, seconds = event.stage, event.fraction, event.eta_s
    elif progress is not None:
        fraction, seconds = progress.fraction, progress.seconds_left
    failure = run.failure if run is not None else None
    running = watch.running or (run is not None and run.running)
    finished = progress is not None and progress.finished
    problem = watch.problem
    if failure is not None:
        problem = f"{failure.message} {failure.hint}".strip()
    elif progress is not None and not running and not finished:
        problem = progress.message
    return TrainingStatus(running, finished, stage, fraction, seconds, problem)
