"""Plausibility checks of the label scheme against the labels of all cases."""

import re
from collections.abc import Mapping

from tokenunet.core.label_schemes import BRATS_LABELS, LABEL_SCHEMES, described
from tokenunet.core.regions import ET_LABEL
from tokenunet.data.cases import Dataset, DatasetFinding, Severity

_PEDIATRIC = re.compile(r"brats[-_]?peds?\b|brats[-_]?ped(?:iatric)?[-_]", re.IGNORECASE)
_CHALLENGE = re.compile(r"brats|fets", re.IGNORECASE)


def doubts_about_labels(dataset: Dataset, values: Mapping[str, frozenset[int]]) -> list[DatasetFinding]:
    """Return reasons to doubt the label scheme: errors if it was guessed, warnings if it was defined explicitly.

    Args:
        dataset: Dataset from `read_dataset`.
        values: Values in the ground truth of each case, by name of the case; empty if it could not be read.
    """
    of_tumors = {name: found - {0} for name, found in values.items() if found - {0}}
    said = bool(dataset.label_scheme)
    pediatric = [] if said else _pediatric(dataset, of_tumors)
    if not of_tumors:
        return pediatric
    found = [] if said else [*pediatric, *_two_for_enhancing(dataset, of_tumors), *_one_to_three(dataset, of_tumors)]
    severity: Severity = "warning" if said else "error"
    meanings = {case.name: case.label_values for case in dataset.cases}
    all_values = frozenset[int]().union(*of_tumors.values())
    shown = " and ".join(map(str, sorted(all_values)))
    if len(all_values) == 1:
        message = f"All ground truths hold the single label {shown}, without edema, core and enhancing tumor apart."
        hint = _hint("Token-UNet needs all three: use other ground truths, or, if it is one of the three,")
        found.append(DatasetFinding("single_label", severity, "", message + ("" if said else hint)))
    elif not any(meanings[name].get(v) == ET_LABEL for name, own in of_tumors.items() for v in own):
        message = f"No ground truth marks enhancing tumor: they hold {shown} only."
        found.append(DatasetFinding("no_enhancing_tumor", severity, "", message + ("" if said else _hint("If so,"))))
    else:
        found += _single_in_some(of_tumors, severity)
    return found


def _hint(beginning: str) -> str:
    return f" {beginning} pass the label scheme with --labels: {', '.join(map(described, LABEL_SCHEMES))}."


def _pediatric(dataset: Dataset, values: Mapping[str, frozenset[int]]) -> list[DatasetFinding]:
    of_folder = _PEDIATRIC.search(dataset.folder.name) is not None
    names = [case.name for case in dataset.cases if of_folder or _PEDIATRIC.search(case.name)]
    if not names:
        return []
    newer = [name for name in names if 4 in values.get(name, ())]
    tells = f" {newer[0]} holds 4, which only the scheme since 2024 has." if newer else ""
    message = (
        f"{names[0]}{' and others are' if len(names) > 1 else ' is'} of BraTS-PED, whose labels changed in 2024: pass "
        "--labels brats-ped (1 enhancing, 2 non-enhancing, 3 cystic, 4 edema), or --labels brats2023 if of 2023."
    )
    return [DatasetFinding("label_scheme", "error", "", message + tells)]


def _two_for_enhancing(dataset: Dataset, values: Mapping[str, frozenset[int]]) -> list[DatasetFinding]:
    free = {case.name for case in dataset.cases if case.label_values == BRATS_LABELS} & set(values)
    old, new = ([name for name in sorted(free) if value in values[name]] for value in (4, 3))
    if not old or not new:
        return []
    message = (
        f"{len(old)} ground truths hold 4 (as {old[0]}), {len(new)} hold 3 (as {new[0]}). Since BraTS 2024, 4 is the "
        "resection cavity: if so here, pass --labels brats2024; if both mark enhancing tumor, --labels brats."
    )
    return [DatasetFinding("mixed_labels", "error", "", message)]


def _one_to_three(dataset: Dataset, values: Mapping[str, frozenset[int]]) -> list[DatasetFinding]:
    """Return a finding if labels 1, 2 and 3 are in files whose names indicate no scheme: 1 may be core or edema."""
    unnamed = [
        case.name
        for case in dataset.cases
        if case.label_values == BRATS_LABELS
        and case.name in values
        and not any(_CHALLENGE.search(name) for name in (case.name, dataset.folder.name))
    ]
    holding = [name for name in unnamed if 3 in values[name]]
    if not holding or any(4 in found for found in values.values()):
        return []
    message = f"{len(holding)} ground truths hold 3 and none holds 4 (as {holding[0]}), in names that tell no scheme."
    hint = _hint("Their labels may be in another order than those of BraTS:")
    return [DatasetFinding("label_scheme", "error", "", message + hint)]


def _single_in_some(values: Mapping[str, frozenset[int]], severity: Severity) -> list[DatasetFinding]:
    """Return a finding if some ground truths have a single label, though others distinguish the tumor's parts."""
    single = [name for name, own in values.items() if own == {1}]
    if not single:
        return []
    message = (
        f"{len(single)} of {len(values)} ground truths hold the single label 1 (as {single[0]}), which counts as "
        "tumor core without edema. Take them out if it means the whole tumor."
    )
    most = 2 * len(single) >= len(values)
    return [DatasetFinding("single_label", "error" if most and severity == "error" else "warning", "", message)]
