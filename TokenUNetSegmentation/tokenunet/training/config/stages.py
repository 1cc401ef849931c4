"""The networks of an experiment: one of each architecture, or with the preset ``synthetic`` a coarse and a fine one.

The coarse stage learns at 2 mm, where patients and steps are cheap; the fine one goes on from its last weights at
1.6 mm. At 1 mm a step takes four times as long again, and the network sees less of what is around a voxel.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenunet.core.errors import UsageError
from tokenunet.training.config.configuration import TrainingConfiguration, configuration_of
from tokenunet.training.config.presets import PresetName
from tokenunet.training.experiment.fold_folder import LAST_WEIGHTS

_STAGES: dict[str, dict[str, Any]] = {
    "coarse": {},
    "fine": {"spacing": 1.6, "epochs": 40, "learning_rate": 6e-4},
}


def configurations_of(
    architectures: Sequence[str], preset: PresetName, overrides: Mapping[str, Any]
) -> dict[str, TrainingConfiguration]:
    """The configurations of an experiment's networks by their names, in the order in which they are trained.

    Args:
        architectures: names in `tokenunet.networks.architectures`, which are the networks' names, too; those of the
            preset ``synthetic`` end in ``_coarse`` and ``_fine``.
        preset: as for `configuration_of`.
        overrides: values that replace the preset's; with ``synthetic``, ``fine.epochs`` is of that stage only, and a
            stage of 0 epochs is left out.

    Raises:
        UsageError: as for `configuration_of`, and where no stage is left.
    """
    if preset != "synthetic":
        return {name: configuration_of(name, preset, overrides) for name in architectures}
    return {name: c for architecture in architectures for name, c in _stages_of(architecture, overrides).items()}


def _stages_of(architecture: str, overrides: Mapping[str, Any]) -> dict[str, TrainingConfiguration]:
    common = {name: value for name, value in overrides.items() if name.partition(".")[0] not in _STAGES}
    configurations: dict[str, TrainingConfiguration] = {}
    for stage, values in _STAGES.items():
        own = {name.partition(".")[2]: value for name, value in overrides.items() if name.startswith(f"{stage}.")}
        settings = values | common | own
        if str(settings.get("epochs")) == "0":
            continue
        if configurations:
            earlier, before = list(configurations.items())[-1]
            settings |= {
                "initial": own.get("initial", f"{earlier}/fold_0/{LAST_WEIGHTS}"),
                "first_patient": before.first_patient + before.epochs * before.synthetic_patients,
            }
        configuration = configuration_of(architecture, "synthetic", settings)
        if not configuration.synthetic_patients or not configuration.validation_patients:
            raise UsageError("The preset synthetic needs synthetic patients to train and to validate on.")
        configurations[f"{architecture}_{stage}"] = configuration
    if not configurations:
        raise UsageError("No stage is left to train.", "Give coarse.epochs or fine.epochs a value above 0.")
    if len({c.validation_patients for c in configurations.values()}) > 1:
        raise UsageError("All stages are measured on the same patients.", "Set validation_patients for all of them.")
    return configurations
