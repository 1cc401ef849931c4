"""What can go wrong, each with one sentence for the user, a hint, a stable code and an exit code.

Exit codes: 2 usage, 3 bad input, 4 bad model, 5 device or memory, 6 cannot write, 130 cancelled.
"""


class TokenUNetError(Exception):
    """Base of all errors a user can do something about.

    Attributes:
        code: stable name for programs.
        exit_code: what the command line exits with.
        hint: what to do about it; may be empty.
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TokenUNetError):
    """The command was called with arguments that do not go together."""

    code, exit_code = "usage", 2


class InputError(TokenUNetError):
    """An input image, or the set of four, cannot be segmented."""

    code, exit_code = "bad_input", 3


class MissingSequenceError(InputError):
    """One of the four sequences was not given or not found."""

    code = "missing_sequence"


class AmbiguousSequenceError(InputError):
    """Two files claim to be the same sequence, or one file was given for two."""

    code = "ambiguous_sequence"


class MixedPatientsError(InputError):
    """A folder holds DICOM images of several patients."""

    code = "mixed_patients"


class UnreadableImageError(InputError):
    """A file is absent, truncated, or in no known image format."""

    code = "unreadable_image"


class UnusableImageError(InputError):
    """An image was read but is not a 3-D scan with something in it."""

    code = "unusable_image"


class GridMismatchError(InputError):
    """The scans do not show the same part of space."""

    code = "grid_mismatch"


class DatasetError(InputError):
    """A dataset cannot be trained on."""

    code = "bad_dataset"


class UnexpectedLabelsError(DatasetError):
    """A truth holds values that its labels' scheme does not know."""

    code = "label_values"


class ExperimentError(InputError):
    """A folder holds no experiment, another one, or one that is being trained already."""

    code = "bad_experiment"


class IncompleteBatchError(InputError):
    """Patients of a batch could not be segmented; the others were."""

    code = "incomplete_batch"


class ModelError(TokenUNetError):
    """A model bundle cannot be used."""

    code, exit_code = "bad_model", 4


class ArchitectureError(ModelError):
    """An architecture is unknown, is registered twice, or does not take its arguments."""

    code = "architecture"


class UnsafeBundleError(ModelError):
    """A bundle's archive holds something that no bundle needs: links, paths that leave it, huge entries."""

    code = "unsafe_bundle"


class UnusableWeightsError(ModelError):
    """Weights do not match their checksum or their architecture."""

    code = "unusable_weights"


class DeviceError(TokenUNetError):
    """The asked-for device is not there."""

    code, exit_code = "device", 5


class OutOfMemoryError(DeviceError):
    """Neither the device nor the CPU has the memory, even with the smallest windows."""

    code = "out_of_memory"


class ProcessDiedError(DeviceError):
    """A process that segmented a patient crashed or was killed."""

    code = "process_died"


class TrainingError(TokenUNetError):
    """A training cannot go on; its folder holds all that is needed to resume it."""

    code = "training"


class OutputError(TokenUNetError):
    """Results cannot be written, or would overwrite earlier ones."""

    code, exit_code = "cannot_write", 6


class OutputBusyError(OutputError):
    """Another run is writing into the output folder."""

    code = "output_busy"


class OutputExistsError(OutputError):
    """The output folder already holds results."""

    code = "output_exists"


class Cancelled(TokenUNetError):
    """The user stopped the run."""

    code, exit_code = "cancelled", 130

    def __init__(self, message: str = "Stopped before the end; nothing was written.") -> None:
        super().__init__(message)
