"""Registry of overlays, and the overlays of a prediction.

A new group of overlays is added by one file with a function and its registration:

    @register_overlays("tumor_entropy", title="Tumor entropy", description="Entropy of the tumor probability.")
    def tumor_entropy(prediction: Prediction, prepared: Prepared) -> Iterator[Overlay]: ...

The file is found when it is imported, when it is located in the folder `$TOKENUNET_OVERLAYS` (default:
`~/.tokenunet/overlays`), or when an installed package names it as an entry point of the group `tokenunet.overlays`.
Its overlays are then computed with every segmentation, and written, listed in the run report, loaded and displayed like
those that the project brings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import SimpleITK as sitk

from tokenunet.core.builtin_overlays import (
    ENSEMBLE_UNCERTAINTY,
    SHARPER_MAPS,
    TOKEN_FUSER,
    TOKEN_LEARNER,
    sharper_overlay,
    token_fuser_overlay,
    token_learner_overlay,
    uncertainty_overlay,
)
from tokenunet.core.errors import OverlayError
from tokenunet.core.overlays import Overlay, OverlayGroup, check_names
from tokenunet.core.plugins import Plugins, check_name
from tokenunet.core.prediction import Prediction
from tokenunet.preprocessing import Prepared

MakeOverlays = Callable[[Prediction, Prepared], Iterable[Overlay]]
"""Function that returns a group's overlays of one patient; none if the prediction lacks what they are made of."""

_USUAL_LOGIT = -3.0
"""Logit of the share of tumor in a brain, about 5 %: the probe's readout is compared with it."""

_registered: dict[str, tuple[OverlayGroup, MakeOverlays]] = {}
_plugins = Plugins("overlays")


def register_overlays(name: str, title: str, description: str) -> Callable[[MakeOverlays], MakeOverlays]:
    """Register the decorated function as the source of a group of overlays.

    Args:
        name: Identifier of the group, which its overlays name as their `group`.
        title: Name in panels, folders and figures.
        description: One sentence about the meaning of the values.

    Returns:
        A decorator that returns the function unchanged.

    Raises:
        OverlayError: If the name is taken or no identifier.
    """
    makers = {taken: make for taken, (_group, make) in _registered.items()}
    check_name(name, "a group of overlays", makers, OverlayError)

    def register(make: MakeOverlays) -> MakeOverlays:
        _registered[name] = OverlayGroup(name, title, description), make
        return make

    return register


def overlay_groups() -> Mapping[str, OverlayGroup]:
    """Return all registered groups by name, those that the project brings first.

    A plugin that cannot be imported is reported by a warning.

    Example:
        >>> from tokenunet.inference.overlays import overlay_groups
        >>> "token_learner" in overlay_groups()
        True
    """
    _plugins.load()
    return MappingProxyType({name: group for name, (group, _make) in _registered.items()})


def with_overlays(prediction: Prediction, prepared: Prepared) -> Prediction:
    """Return the prediction together with the overlays of all registered groups.

    Args:
        prediction: Prediction of the patient.
        prepared: Patient in the model's space.

    Raises:
        OverlayError: If a group's function fails, or an overlay does not fit its grid or the patient.
    """
    overlays: list[Overlay] = []
    for name in overlay_groups():
        try:
            made = tuple(_registered[name][1](prediction, prepared))
        except OverlayError:
            raise
        except Exception as error:  # whatever a plugin's own code raises
            raise OverlayError(
                f"The overlays {name!r} cannot be computed: {type(error).__name__}: {error}.",
                f"Correct or remove the plugin in {_plugins.folder}.",
            ) from error
        for overlay in made:
            _check(overlay, name, prepared)
        overlays += made
    check_names(tuple(overlays))
    return replace(prediction, overlays=tuple(overlays))


def grouped(overlays: Iterable[Overlay]) -> tuple[OverlayGroup, ...]:
    """Return the groups that have overlays, with them, in the order of registration."""
    overlays = tuple(overlays)
    by_group = {name: tuple(o for o in overlays if o.group == name) for name in overlay_groups()}
    return tuple(replace(overlay_groups()[name], overlays=own) for name, own in by_group.items() if own)


def _check(overlay: Overlay, group: str, prepared: Prepared) -> None:
    if overlay.group != group:
        raise OverlayError(
            f"The overlay {overlay.name!r} names the group {overlay.group!r}, but {group!r} returned it.",
            "Name the group that is registered.",
        )
    middle = overlay.grid.index_to_lps @ [*((n - 1) / 2 for n in overlay.grid.size), 1]
    index = np.linalg.solve(prepared.grid.index_to_lps, middle)[:3]
    if not all(-0.5 <= i <= n - 0.5 for i, n in zip(index, prepared.grid.size, strict=True)):
        raise OverlayError(
            f"The grid of the overlay {overlay.name!r} is located outside the scans.",
            "Use the grid of the prepared patient, or of its attention maps.",
        )


@register_overlays(TOKEN_LEARNER.name, TOKEN_LEARNER.title, TOKEN_LEARNER.description)
def _token_learner(prediction: Prediction, prepared: Prepared) -> Iterator[Overlay]:
    if prediction.attention is not None:
        for number, array in enumerate(prediction.attention.token_learner, start=1):
            yield token_learner_overlay(number, array, prediction.attention.grid, prediction.attention.regions)


@register_overlays(SHARPER_MAPS.name, SHARPER_MAPS.title, SHARPER_MAPS.description)
def _sharper_maps(prediction: Prediction, prepared: Prepared) -> Iterator[Overlay]:
    maps, probe = prediction.attention, prediction.probe
    if maps is None or probe is None:
        return
    seen = 0.5 * (1 + np.tanh((probe.fine - _USUAL_LOGIT) / 2))
    for number, (region, array) in enumerate(zip(maps.regions, maps.token_learner, strict=False), start=1):
        fine = sitk.GetArrayFromImage(probe.fine_grid.resample(maps.grid.image(array)))
        yield sharper_overlay(number, fine * seen, probe.fine_grid, region)


@register_overlays(TOKEN_FUSER.name, TOKEN_FUSER.title, TOKEN_FUSER.description)
def _token_fuser(prediction: Prediction, prepared: Prepared) -> Iterator[Overlay]:
    if prediction.attention is not None:
        for number, array in enumerate(prediction.attention.token_fuser, start=1):
            yield token_fuser_overlay(number, array, prediction.attention.grid)


@register_overlays(ENSEMBLE_UNCERTAINTY.name, ENSEMBLE_UNCERTAINTY.title, ENSEMBLE_UNCERTAINTY.description)
def _ensemble_uncertainty(prediction: Prediction, prepared: Prepared) -> Iterator[Overlay]:
    if prediction.uncertainty is not None:
        yield uncertainty_overlay(prediction.uncertainty, prepared.grid)
