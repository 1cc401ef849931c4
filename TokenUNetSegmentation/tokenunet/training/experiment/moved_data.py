"""Search for moved data of an experiment by their content."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tokenunet.core.errors import ExperimentError
from tokenunet.core.events import OnEvent, Progress, Stage
from tokenunet.data import Case, Dataset, FileHashes, read_dataset
from tokenunet.io.files import files_below, sha256_of


def find_moved(dataset: Dataset, hashes: FileHashes, place: Path, on_event: OnEvent) -> Dataset:
    """Find the files of a dataset in a new folder.

    Cases, patients and labels stay the same; only files with the recorded content are accepted. A file at the same
    relative path is tried first, then those of the same name, then all others.

    Args:
        dataset: Dataset of the experiment.
        hashes: SHA-256 of its files.
        place: New folder or CSV file of the data.
        on_event: Callback that receives progress; may raise to stop.

    Returns:
        Dataset with the new paths.

    Raises:
        ExperimentError: If a file is not found.
    """
    place = place.absolute()
    if not place.exists():
        raise ExperimentError(f"There is no folder or CSV {place}.", "Check the path given with --data.")
    progress = Progress(on_event, {Stage.CHECK: 1.0})
    found = _ByContent(place)
    cases: list[Case] = []
    for case in dataset.cases:
        wanted = hashes[case.name]
        images = {
            sequence: replace(source, path=found.file(case, source.path, wanted[sequence], dataset.folder))
            for sequence, source in case.images.items()
        }
        truth = case.truth and found.file(case, case.truth, wanted["truth"], dataset.folder)
        cases.append(replace(case, images=images, truth=truth))
        progress.update(Stage.CHECK, len(cases) / len(dataset.cases))
    return replace(dataset, folder=place, cases=tuple(cases))


class _ByContent:
    """Index of files by their content; each file is read at most once, and only when needed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._left: dict[str, list[Path]] | None = None
        self._known: dict[str, Path] = {}
        self._read: set[Path] = set()

    def file(self, case: Case, old: Path, sha256: str, old_folder: Path) -> Path:
        """Return the file with a given content.

        Args:
            case: Case of the file, for messages.
            old: Former path of the file.
            sha256: SHA-256 of the file.
            old_folder: Former folder of the dataset.

        Raises:
            ExperimentError: If there is no such file.
        """
        if sha256 in self._known:
            return self._known[sha256]
        if old.is_relative_to(old_folder):
            self._read_file(self._place / old.relative_to(old_folder))
        if sha256 not in self._known:
            if self._left is None:
                self._left = defaultdict(list)
                for path in _files_of(self._place):
                    self._left[path.name].append(path)
            for path in self._left.pop(old.name, []):
                self._read_file(path)
        if sha256 not in self._known and self._left is not None:
            for path in [path for paths in self._left.values() for path in paths]:
                self._read_file(path)
            self._left.clear()
        if sha256 not in self._known:
            raise ExperimentError(
                f"{old.name} of {case.name} is not in {self._place} with the recorded content.",
                "Give the folder that contains the same files, or start a new experiment.",
            )
        return self._known[sha256]

    def _read_file(self, path: Path) -> None:
        if path not in self._read and path.is_file():
            self._read.add(path)
            self._known.setdefault(sha256_of(path), path)


def _files_of(place: Path) -> Iterator[Path]:
    if place.is_file():
        for case in read_dataset(place).cases:
            yield from (source.path for source in case.images.values())
            if case.truth is not None:
                yield case.truth
        return
    yield from files_below(place)
