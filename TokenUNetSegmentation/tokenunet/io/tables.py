"""Patient tables: CSV files with one row per patient."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.errors import InputError
from tokenunet.core.sequences import sequence_named


@dataclass(frozen=True)
class PatientTable:
    """Rows of a CSV file by known columns.

    Attributes:
        path: Path of the CSV file.
        names: Names of all columns, in their order.
        columns: Name in the file by known column.
        rows: Values by known column, without surrounding blanks, of all rows that are not empty.
    """

    path: Path
    names: tuple[str, ...]
    columns: Mapping[str, str]
    rows: tuple[Mapping[str, str], ...]

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the columns that are ignored."""
        return tuple(name for name in self.names if name not in self.columns.values())

    def file(self, entry: str) -> Path:
        """Return the path of an entry; a relative one starts from the folder of the CSV file.

        Backslashes of Windows are understood on other systems, too.

        Raises:
            InputError: If a relative path leaves that folder.
        """
        if os.sep == "/" and not (self.path.parent / entry).exists():
            entry = entry.replace("\\", "/")
        if ".." in Path(entry).parts:
            raise InputError(
                f"{self.path} names {entry}, which leaves the folder of the CSV file.", "Write the full path instead."
            )
        return self.path.parent / entry


def read_patient_table(path: Path, other_columns: Sequence[str], channels: ChannelSet = FOUR_SEQUENCES) -> PatientTable:
    """Read a CSV file in UTF-8 with commas, semicolons or tabs, whose columns are channels and others.

    A column with the exact name of a channel (``T1``, ``t1n``) takes precedence over similar ones (``T1_raw``).

    Args:
        path: Path of the CSV file.
        other_columns: Known columns besides the channels, in lower case.
        channels: Channels of the model.

    Raises:
        InputError: If the file is not such a table, or several columns match one channel.
        OSError: If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first, _, rest = text.partition("\n")
        if first.lower().startswith("sep="):  # Excel's own
            text, first = rest, rest.partition("\n")[0]
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
        names = [name for name in reader.fieldnames or () if name.strip()]
        raw = []
        for row in reader:
            if any((cell or "").strip() for cell in row.pop(None, ())):
                raise InputError(
                    f"Line {reader.line_num} of {path} has more cells than its first line has columns.",
                    'Put cells that hold the separator into quotes ("...").',
                )
            raw.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8.", "Save it as CSV UTF-8.") from error
    if not names:
        raise InputError(f"{path} is empty.", "Write the names of the columns into its first line.")
    columns = _known_columns(path, names, other_columns, channels)
    rows = tuple({column: (row[name] or "").strip() for column, name in columns.items()} for row in raw)
    return PatientTable(path, tuple(names), columns, tuple(row for row in rows if any(row.values())))


def _known_columns(
    path: Path, names: Sequence[str], other_columns: Sequence[str], channels: ChannelSet
) -> dict[str, str]:
    fitting: dict[str, list[str]] = {}
    for name in names:
        plain = name.strip().lower()
        column = plain if plain in other_columns else channels.find(plain) or channels.named(plain)
        column = column or sequence_named(plain)
        if column in (*other_columns, *channels.names):
            fitting.setdefault(str(column), []).append(name)
    columns = {}
    for column, same in fitting.items():
        exact = [name for name in same if name.strip().lower() == column or channels.find(name.strip()) == column]
        same = exact if len(exact) == 1 else same
        if len(same) > 1:
            raise InputError(
                f"{path} has several columns for {column}: {', '.join(same)}.", "Leave only one of them in the table."
            )
        columns[column] = same[0]
    return {column: columns[column] for column in (*other_columns, *channels.names) if column in columns}
