"""Requests to segment volumes, from the panel or a script, and running one until its end."""

import logging
import time
from collections.abc import Callable, Mapping

import slicer
from slicer.i18n import tr as _
from tokenunet.core.channels import ChannelSet
from tokenunet.core.errors import InputError, UsageError
from tokenunet.core.events import ProgressEvent
from tokenunet.core.sequences import SequenceName
from tokenunet.inference.request import InferenceOptions

from TokenUNetSegmentationLib.logic.input_checks import check_inputs
from TokenUNetSegmentationLib.logic.inputs import reference_of
from TokenUNetSegmentationLib.logic.run import RunRequest, SegmentationRun
from TokenUNetSegmentationLib.scene.results import PatientResult

_PAUSE_S = 0.02


def request_for(
    volumes: Mapping[SequenceName, slicer.vtkMRMLScalarVolumeNode | None],
    model: str,
    channels: ChannelSet,
    reference: SequenceName,
    options: InferenceOptions,
) -> RunRequest:
    """Return the request to segment volumes of the scene.

    Args:
        volumes: Volume by channel name or alias; None or absent if there is none.
        model: Name or path of a model bundle.
        channels: Channels of the model.
        reference: Channel on whose grid the result is, if it is there.
        options: How to run the network.

    Raises:
        UsageError: If the model does not take a channel, or it is given twice.
        InputError: If a volume cannot be segmented, or the model needs one that is not there.
    """
    inputs: dict[SequenceName, slicer.vtkMRMLScalarVolumeNode | None] = dict.fromkeys(channels.names)
    for given, volume in volumes.items():
        name = channels.find(given)
        if name is None:
            known = ", ".join(channels.names)
            raise UsageError(
                _("{model} takes {channels}, not {given}.").format(model=model, channels=known, given=given),
                _("Leave it out."),
            )
        if inputs[name] is not None:
            raise UsageError(_("{name} was given twice.").format(name=name), _("Leave out either."))
        inputs[name] = volume
    problems = check_inputs(inputs, channels)
    if problems:
        raise InputError(next(iter(problems.values())))
    present = {name: volume for name, volume in inputs.items() if volume is not None}
    left_out = tuple(name for name in inputs if name not in present)
    return RunRequest(present, reference_of(reference, present), model, options, left_out)


def run_to_end(run: SegmentationRun, on_progress: Callable[[ProgressEvent], None]) -> PatientResult:
    """Segment while the application's window stays alive, and return the result in the scene.

    Args:
        run: Run that has not begun.
        on_progress: Callback that receives the progress; may raise to stop.

    Raises:
        TokenUNetError: If the run fails.
    """
    steps = run.steps()
    try:
        for _step in steps:
            on_progress(run.progress)
            slicer.app.processEvents()
            time.sleep(_PAUSE_S)
    finally:
        steps.close()  # type: ignore[attr-defined]
    for warning in run.warnings:
        logging.warning(warning)
    assert run.result is not None
    return run.result
