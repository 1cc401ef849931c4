"""What to train: one dataclass, and the options of ``tokenunet train`` that say the same.

Nothing here imports PyTorch, so that the Slicer module can make requests before it is installed.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokenunet.core.errors import UsageError
from tokenunet.core.label_schemes import LABEL_SCHEMES, described
from tokenunet.core.option_parser import parse_options
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.networks.registry import architectures
from tokenunet.training.config.configuration import SETTINGS
from tokenunet.training.config.presets import PRESETS, PresetName

if TYPE_CHECKING:  # it needs packages that are installed at the first click
    from tokenunet.training.experiment.experiment import ExperimentPlan

DEFAULT_ARCHITECTURE = "token_unet_transformer"
_DEFAULT_FOLDS = 5
_NOT_WITH_SYNTHETIC = ("data", "labels", "channels", "folds", "only_folds", "cluster")
_SYNTHETIC_HINT = "Its patients are generated, and its stages are trained one after the other; leave the option out."
_NOT_WITH_RESUME = ("labels", "channels", "preset", "architectures", "folds", "only_folds", "seed")


@dataclass(frozen=True)
class TrainingRequest:
    """What to train. What is None takes the command's default, or what a resumed experiment's folder says.

    Attributes:
        output: Folder of the experiment; None if nobody has chosen one yet.
        data: Folder or CSV of the patients; when resuming, where they are now.
        labels: Meaning of the ground truths' values, a name in `LABEL_SCHEMES`.
        preset: Preset whose settings are used.
        architectures: Names of registered architectures.
        channels: Sequences that the networks receive.
        folds: Number of folds of the cross-validation.
        only_folds: Numbers of the folds to train, from 0.
        seed: Seed of splits, weights and patches.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.
        cluster: Address of a Ray cluster.
        resume: Whether to continue the experiment in `output`.
        settings: Settings that replace the preset's, as text.

    Example:
        >>> request = TrainingRequest(Path("out"), Path("patients"), channels=("T1ce", "FLAIR"))
        >>> request.to_arguments()
        ['--output', 'out', '--data', 'patients', '--channels', 'T1ce,FLAIR']
        >>> TrainingRequest.from_arguments(request.to_arguments()) == request
        True
    """

    output: Path | None
    data: Path | None = None
    labels: str | None = None
    preset: PresetName | None = None
    architectures: tuple[str, ...] | None = None
    channels: tuple[SequenceName, ...] | None = None
    folds: int | None = None
    only_folds: tuple[int, ...] | None = None
    seed: int | None = None
    device: str = "auto"
    cluster: str | None = None
    resume: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def to_arguments(self) -> list[str]:
        """Return the options of `tokenunet train` that make the same request, without default values."""
        words = []
        for name in ("output", "data", "labels", "preset", "architectures", "channels", "folds", "only_folds", "seed"):
            value = getattr(self, name)
            if value is not None:
                words += [_flag(name), ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
        if self.device != "auto":
            words += ["--device", self.device]
        if self.cluster is not None:
            words += ["--cluster", self.cluster]
        words += ["--resume"] if self.resume else []
        return words + [word for name, value in self.settings.items() for word in ("--set", f"{name}={value}")]

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> "TrainingRequest":
        """Return the request that options of `tokenunet train` make.

        Args:
            arguments: Words after `tokenunet train`, without those about progress.

        Raises:
            UsageError: If an option is unknown or lacks its value.
        """
        return cls.from_options(parse_options("tokenunet train", add_arguments, arguments))

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> "TrainingRequest":
        """Return the request of options that a parser with `add_arguments` has read.

        Raises:
            UsageError: If a setting has no value.
        """
        names = ("output", "data", "labels", "preset", "architectures", "channels", "folds", "only_folds", "seed")
        given = {name: getattr(options, name) for name in (*names, "device", "cluster", "resume")}
        return cls(**given, settings=_settings(options.set))

    def plan(self) -> "ExperimentPlan":
        """Return the plan of a new experiment.

        Raises:
            UsageError: If options were given that do not go together.
        """
        from tokenunet.training.experiment.experiment import ExperimentPlan

        if self.preset == "synthetic":
            self._refuse(_NOT_WITH_SYNTHETIC, "--preset synthetic", _SYNTHETIC_HINT)
        elif self.data is None:
            raise UsageError(
                "No patients were given.",
                "Use --data DIR, --preset synthetic, or --resume to continue an experiment.",
            )
        folds = 1 if self.preset == "synthetic" else _DEFAULT_FOLDS if self.folds is None else self.folds
        channels = {"channels": ",".join(self.channels)} if self.channels else {}
        return ExperimentPlan(
            preset=self.preset or "paper",
            architectures=self.architectures or (DEFAULT_ARCHITECTURE,),
            folds=folds,
            trained_folds=self.only_folds or tuple(range(folds)),
            seed=self.seed or 0,
            overrides={**self.settings, **channels},
        )

    def check_resume(self) -> None:
        """Check that nothing was given that a resumed experiment's folder says.

        Raises:
            UsageError: If something was.
        """
        self._refuse(_NOT_WITH_RESUME, "--resume", "The experiment keeps its settings; leave it out.")

    def _refuse(self, names: Sequence[str], option: str, hint: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise UsageError(f"{_flag(name)} cannot be given with {option}.", hint)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `TrainingRequest.from_options` reads."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR_OR_CSV",
        help="folder or CSV file of the patients; with --resume, their new location if they were moved",
    )
    add_labels_argument(parser)
    parser.add_argument("--output", type=Path, metavar="EXPERIMENT", required=True, help="folder of the experiment")
    parser.add_argument(
        "--preset", choices=PRESETS, help="preset of the settings (default: paper); synthetic needs no --data"
    )
    parser.add_argument(
        "--architectures",
        type=_names,
        metavar="A,B",
        help=f"architectures to train, out of {', '.join(architectures())} (default: {DEFAULT_ARCHITECTURE})",
    )
    add_channels_argument(parser)
    parser.add_argument(
        "--folds", type=int, metavar="N", help=f"number of folds of the cross-validation (default: {_DEFAULT_FOLDS})"
    )
    parser.add_argument(
        "--only-folds",
        type=lambda text: tuple(int(n) for n in text.split(",")),
        metavar="0,2",
        help="numbers of the folds to train, from 0 (default: all)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value of a setting, see below"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of splits, weights and patches (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue the experiment in --output")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="address of a Ray cluster to train the folds on; 'local' starts one here"
    )


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """Add the ``--labels`` option, which defines the meaning of label values."""
    parser.add_argument(
        "--labels",
        choices=LABEL_SCHEMES,
        help="meaning of the label values, if it is ambiguous: " + ", ".join(map(described, LABEL_SCHEMES)),
    )


def add_channels_argument(parser: argparse.ArgumentParser) -> None:
    """Add the ``--channels`` option, which defines what a network is trained on."""
    parser.add_argument(
        "--channels",
        type=_names,
        metavar="A,B",
        help=f"sequences that the networks receive, of any names (default: {','.join(SEQUENCES)})",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _settings(settings: Sequence[str]) -> dict[str, str]:
    overrides = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"--set {setting} has no value.", "Write --set NAME=VALUE, for instance --set epochs=3.")
        found = SETTINGS.get(name.rpartition(".")[2])
        # Other relative paths in a configuration start from the experiment's folder.
        overrides[name] = str(Path(value).absolute()) if found is not None and found.is_file else value
    return overrides
