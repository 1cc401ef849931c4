"""Choice of a patient's scans among image files by name, including one of several versions of a scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenunet.core.errors import AmbiguousSequenceError
from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SEQUENCES, SequenceName, other_words
from tokenunet.study.identify.tags_and_names import sequence_in_name

_REGISTERED = {"to", "in", "on", "onto", "into", "reg", "coreg", "registered", "coregistered", "aligned", "warped"}
"""Words in the names of scans that were registered to another scan."""


@dataclass(frozen=True)
class ChosenFiles:
    """Files chosen by their names.

    Attributes:
        files: File by sequence.
        ignored: Other versions of the same scans.
        reason: Versions that were chosen, to precede "were taken"; empty if there were no others.
    """

    files: dict[SequenceName, Path]
    ignored: tuple[Path, ...] = ()
    reason: str = ""

    def finding(self, folder: Path) -> Finding | None:
        """Return the warning that names the other versions; None if there are none.

        Args:
            folder: Folder of the patient.
        """
        if not self.ignored:
            return None
        names = ", ".join(str(file.relative_to(folder)) for file in self.ignored)
        taken = ", ".join(str(file.relative_to(folder)) for file in self.files.values())
        return Finding(
            "passed_over", f"Of several versions of the scans, {self.reason} were taken ({taken}), not {names}."
        )


def choose_by_name(folder: Path, files: Sequence[Path], sequences: Sequence[SequenceName] = SEQUENCES) -> ChosenFiles:
    """Choose image files by their names.

    Of several versions of a scan, the registered one is chosen if every sequence with several versions has one. If
    not, the plain one is chosen, if all sequences have the same versions: the networks were trained on scans without
    bias correction, as BraTS publishes them.

    Args:
        folder: Folder of the patient, for messages.
        files: Image files in it or below.
        sequences: Sequences to look for.

    Raises:
        AmbiguousSequenceError: If two files are named after the same sequence.
    """
    claims: dict[SequenceName, list[Path]] = {s: [] for s in sequences}
    for file in files:
        sequence = sequence_in_name(telling_name(folder, file))
        if sequence in claims:
            claims[sequence].append(file)
    chosen, reason = _registered(claims), "the registered ones"
    if chosen is None:
        chosen, reason = _plain(claims), "those of the shortest names"
    if chosen is None:
        raise _ambiguous(folder, claims)
    ignored = [file for s, claiming in claims.items() for file in claiming if file != chosen[s]]
    return ChosenFiles(chosen, tuple(ignored), reason if ignored else "")


def telling_name(folder: Path, file: Path) -> str:
    """Return the file's name, preceded by its folder's name if only the folder is named after a sequence.

    Args:
        folder: Folder of the patient.
        file: Image file in it or below.
    """
    parent = file.parent
    if parent != folder and sequence_in_name(file.name) is None and sequence_in_name(parent.name) is not None:
        return f"{parent.name}/{file.name}"
    return file.name


def _registered(claims: Mapping[SequenceName, Sequence[Path]]) -> dict[SequenceName, Path] | None:
    """Return one file of each sequence, the registered one of several; None if that is not unique."""
    chosen = {}
    for sequence, files in ((s, files) for s, files in claims.items() if files):
        registered = [file for file in files if _words(file) & _REGISTERED] if len(files) > 1 else list(files)
        # Of t1_reg and t1_reg_bias, the one without further processing.
        plain = [file for file in registered if all(_words(file) <= _words(other) for other in registered)]
        if len(plain) != 1:
            return None
        chosen[sequence] = plain[0]
    # Only the scan that the others were registered to may be unregistered; a second one has another grid.
    unregistered = [file for file in chosen.values() if not _words(file) & _REGISTERED]
    return chosen if len(unregistered) <= 1 or all(len(files) < 2 for files in claims.values()) else None


def _plain(claims: Mapping[SequenceName, Sequence[Path]]) -> dict[SequenceName, Path] | None:
    """Return the version of each sequence with the shortest name; None if the versions differ between sequences."""
    several = [files for files in claims.values() if files]
    if all(len(files) == 1 for files in several):
        return {sequence: files[0] for sequence, files in claims.items() if files}
    versions = [sorted(map(sorted, map(_words, files))) for files in claims.values()]
    if any(own != versions[0] or len(own) != len(set(map(tuple, own))) for own in versions):
        return None
    chosen = {sequence: min(files, key=lambda file: len(_words(file))) for sequence, files in claims.items()}
    nested = all(_words(chosen[s]) < _words(file) for s, files in claims.items() for file in files if file != chosen[s])
    return chosen if nested else None


def _words(file: Path) -> frozenset[str]:
    """Return the words of a file's name that do not name the sequence."""
    return other_words(file.name)


def _ambiguous(folder: Path, claims: Mapping[SequenceName, Sequence[Path]]) -> AmbiguousSequenceError:
    sequence, files = next((s, files) for s, files in claims.items() if len(files) > 1)
    names = [str(file.relative_to(folder)) for file in files[:2]]
    return AmbiguousSequenceError(
        f"{' and '.join(names)} in {folder} both look like {sequence}.",
        f"Name the right one with --{sequence.lower()}.",
    )
