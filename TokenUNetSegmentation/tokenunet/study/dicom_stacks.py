"""Separation of a DICOM series into its volumes: images of the same places by their tags, or else by their order."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tokenunet.study.dicom_header import DicomHeader
from tokenunet.study.dicom_pixels import read_slices

_SAME_PLACE_DECIMALS = 2
"""Decimals of a slice's position in mm that are compared."""


@dataclass(frozen=True)
class Stack:
    """Images of one volume.

    Attributes:
        headers: Headers of its images, in no order.
        name: Difference from other volumes of the same series, such as "echo time 20 ms"; empty if there are none.
        by_order: Whether only the order of the images tells it from others.
    """

    headers: tuple[DicomHeader, ...]
    name: str = ""
    by_order: bool = False


def stacks_of(headers: Sequence[DicomHeader]) -> list[Stack]:
    """Separate the images of a series into volumes.

    Args:
        headers: Headers of images, or of the frames of one file; all have a position.

    Returns:
        Volumes; one of them still holds several images of a place if neither tags nor order tell them apart.
    """
    stacks = []
    for part in _split(headers):
        differing = [key for key in part[0].distinctions if len({h.distinctions.get(key) for h in headers}) > 1]
        names = [] if len(part) == len(headers) else [f"{key} {part[0].distinctions[key]}" for key in differing]
        volumes = _by_order(part)
        for number, volume in enumerate(volumes, start=1):
            if len(volumes) == 1:
                stacks.append(Stack(tuple(volume), ", ".join(names)))
                continue
            numbered = [replace(h, tags=replace(h.tags, temporal_position=float(number))) for h in volume]
            name = ", ".join([*names, f"volume {number} of {len(volumes)}"])
            stacks.append(Stack(tuple(numbered), name, by_order=True))
    return stacks


def by_place(headers: Sequence[DicomHeader]) -> dict[float, list[DicomHeader]]:
    """Return the headers by their position along the normal, in mm and ascending.

    Args:
        headers: Headers of images, all with a position.
    """
    normal = np.cross(*headers[0].orientation)
    places: dict[float, list[DicomHeader]] = defaultdict(list)
    for header in headers:
        places[round(float(header.positions[0] @ normal), _SAME_PLACE_DECIMALS)].append(header)
    return dict(sorted(places.items()))


def are_copies(headers: Sequence[DicomHeader]) -> bool:
    """Return whether images have the same pixels; frames of one file are never copies.

    Args:
        headers: Headers of images of one place.
    """
    if any(header.frame is not None for header in headers):
        return len(headers) == 1
    first, *others = (read_slices([header.file]) for header in headers)
    return all(np.array_equal(first, other) for other in others)


def _split(headers: Sequence[DicomHeader]) -> list[Sequence[DicomHeader]]:
    """Split a series by its distinctions until the images of each place agree in all of them."""
    places = by_place(headers)
    for key in headers[0].distinctions:
        if any(len({header.distinctions.get(key) for header in same}) > 1 for same in places.values()):
            parts: dict[str | None, list[DicomHeader]] = defaultdict(list)
            for header in headers:
                parts[header.distinctions.get(key)].append(header)
            # What differs from slice to slice, as acquisition numbers may, does not tell volumes apart.
            if np.median([len(by_place(part)) for part in parts.values()]) > len(places) / 2:
                return [smaller for part in parts.values() for smaller in _split(part)]
    return [headers]


def _by_order(headers: Sequence[DicomHeader]) -> list[Sequence[DicomHeader]]:
    """Separate images that follow each other volume by volume or place by place; one volume if they do neither."""
    places = list(by_place(headers).values())
    count = len(places[0])
    if count == 1 or any(len(same) != count for same in places) or all(map(are_copies, places)):
        return [headers]
    for numbers in zip(*(header.order for header in headers), strict=True):
        if not all(numbers):
            continue
        number = dict(zip(map(id, headers), numbers, strict=True))
        rising = [sorted(same, key=lambda header: number[id(header)]) for same in places]
        volumes: list[Sequence[DicomHeader]] = list(zip(*rising, strict=True))
        values = np.array([[number[id(header)] for header in volume] for volume in volumes])  # (volumes, places)
        by_volume = values.max(axis=1)[:-1] < values.min(axis=1)[1:]
        in_turn = values[:, np.argsort(values[0])].T.ravel()
        if by_volume.all() or (np.diff(in_turn) > 0).all():
            return volumes
    return [headers]
