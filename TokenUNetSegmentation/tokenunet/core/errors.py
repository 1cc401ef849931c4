"""Errors with one sentence for the user, a hint, a stable code and an exit code.

Exit codes: 2 usage, 3 bad input, 4 bad model, 5 device or memory, 6 cannot write, 130 cancelled.
"""


class TokenUNetError(Exception):
    """Base class of all errors that a user can do something about.

    Args:
        message: One sentence with the file or setting and what is wrong with it.
        hint: One sentence on what to do about it; may be empty.

    Attributes:
        code: Stable identifier for programs.
        exit_code: Exit code of the command line.
        hint: One sentence on what to do about it; may be empty.
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TokenUNetError):
    """Arguments are missing, unknown or contradictory."""

    code, exit_code = "usage", 2


class InputError(TokenUNetError):
    """An input image, or the set of input images, cannot be segmented."""

    code, exit_code = "bad_input", 3


class MissingSequenceError(InputError):
    """A sequence that the model needs was not given or not found."""

    code = "missing_sequence"


class SequenceSetError(MissingSequenceError):
    """The scans are a set that the model does not allow; a batch continues with the next patient."""

    exit_code = 4


class AmbiguousSequenceError(InputError):
    """Two files are the same sequence, or one file was given for two sequences."""

    code = "ambiguous_sequence"


class MixedPatientsError(InputError):
    """A folder contains DICOM images of several patients."""

    code = "mixed_patients"


class TimePointsError(InputError):
    """A patient has fewer than two time points, or ones whose order is not known."""

    code = "time_points"


class SameStudyError(InputError):
    """Two time points are the same examination."""

    code = "same_study"


class UnreadableImageError(InputError):
    """A file is missing, truncated, or in no known image format."""

    code = "unreadable_image"


class UnusableImageError(InputError):
    """An image is not a 3-D scan, or is empty."""

    code = "unusable_image"


class GridMismatchError(InputError):
    """Scans do not cover the same part of space."""

    code = "grid_mismatch"


class DatasetError(InputError):
    """A dataset cannot be trained on."""

    code = "bad_dataset"


class NoConfidentScansError(DatasetError):
    """A model is sure of too few scans to be adapted to them."""

    code = "no_confident_scans"


class UnexpectedLabelsError(DatasetError):
    """A ground truth contains values that are not part of its label scheme."""

    code = "label_values"


class ExperimentError(InputError):
    """A folder contains no experiment, another experiment, or one that is already being trained."""

    code = "bad_experiment"


class IncompleteBatchError(InputError):
    """Some patients of a batch could not be segmented."""

    code = "incomplete_batch"


class ModelError(TokenUNetError):
    """A model bundle cannot be used."""

    code, exit_code = "bad_model", 4


class ChannelError(ModelError):
    """A model's manifest names channels that are unknown or doubled."""

    code = "channels"


class ArchitectureError(ModelError):
    """An architecture is unknown, registered twice, or does not accept its arguments."""

    code = "architecture"


class OverlayError(TokenUNetError):
    """An overlay is not what it must be: its name is taken, or its array does not fit its grid."""

    code, exit_code = "overlay", 4


class UnsafeBundleError(ModelError):
    """A bundle's archive contains links, paths that leave it, or oversized entries."""

    code = "unsafe_bundle"


class UnusableWeightsError(ModelError):
    """Weights do not match their checksum or their architecture."""

    code = "unusable_weights"


class DeviceError(TokenUNetError):
    """The requested device does not exist."""

    code, exit_code = "device", 5


class OutOfMemoryError(DeviceError):
    """Neither the device nor the CPU has enough memory, even for the smallest windows."""

    code = "out_of_memory"


class ProcessDiedError(DeviceError):
    """A worker process crashed or was killed."""

    code = "process_died"


class TrainingError(TokenUNetError):
    """A training cannot continue; its folder contains everything needed to resume it."""

    code = "training"


class OutputError(TokenUNetError):
    """Results cannot be written, or would overwrite earlier ones."""

    code, exit_code = "cannot_write", 6


class OutputBusyError(OutputError):
    """Another run is writing into the output folder."""

    code = "output_busy"


class OutputExistsError(OutputError):
    """The output folder already contains results."""

    code = "output_exists"


class SendError(OutputError):
    """An archive did not store DICOM objects; the files stay as they are and can be sent again."""

    code = "send"


class UnreachableNodeError(SendError):
    """Nothing answers at the address of an archive."""

    code = "unreachable"


class SendTimeoutError(SendError):
    """An archive did not answer in time."""

    code = "send_timeout"


class RefusedError(SendError):
    """An archive refused the connection or an object."""

    code = "refused"


class Cancelled(TokenUNetError):
    """The user stopped the run."""

    code, exit_code = "cancelled", 130

    def __init__(self, message: str = "Stopped before the end; nothing was written.") -> None:
        super().__init__(message)
