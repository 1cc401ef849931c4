"""Networks of an experiment: one per architecture or, with the preset ``synthetic``, a coarse and a fine stage.

The coarse stage is trained at 2 mm, where patients and steps are fast; the fine stage continues from its last weights
at 1.6 mm. At 1 mm, a step would take four times as long, and the network would have less context around a voxel.
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
    """Return the configurations of an experiment's networks by name, in the order of their training.

    Args:
        architectures: Names of registered architectures, which are also the names of the networks; with the preset
            ``synthetic``, those end in ``_coarse`` and ``_fine``.
        preset: Preset, as for `configuration_of`.
        overrides: Settings that replace the preset's; with ``synthetic``, ``fine.epochs`` applies to that stage only,
            and a stage of 0 epochs is omitted.

    Raises:
        UsageError: If a setting or architecture is unknown, a value is out of range, or no stage is left.
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
        raise UsageError("All stages must be validated on the same patients.", "Set validation_patients for all.")
    return configurations
