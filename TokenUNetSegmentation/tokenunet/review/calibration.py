"""Calibration of a model's review: fitted once by `tools.fit_review`, and stored in its bundle.

Nothing here imports more than the standard library, since model lists read it before PyTorch is installed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LinearModel:
    """Linear function of named features.

    Attributes:
        weights: Weight of each feature.
        bias: Value where all features are 0.
    """

    weights: dict[str, float]
    bias: float

    def __call__(self, features: Mapping[str, float]) -> float:
        """Return the value for features, of which others than those with a weight are ignored."""
        return self.bias + sum(weight * features[name] for name, weight in self.weights.items())


@dataclass(frozen=True)
class IntervalModel:
    """Linear estimate with an interval that covered nine of ten patients of the calibration.

    Attributes:
        center: Estimate.
        log_spread: Logarithm of the error to expect, which makes the interval of doubtful patients wider.
        low: Lower end of the interval, relative to the estimate and in units of the spread.
        high: Upper end, likewise.
    """

    center: LinearModel
    log_spread: LinearModel
    low: float
    high: float

    def __call__(self, features: Mapping[str, float]) -> tuple[float, float, float]:
        """Return the estimate and both ends of its interval."""
        value, spread = self.center(features), math.exp(self.log_spread(features))
        return value, value + self.low * spread, value + self.high * spread


@dataclass(frozen=True)
class ReviewCalibration:
    """What a model's probe and probabilities mean, measured on patients that it was not trained on.

    Attributes:
        weights_sha256: SHA-256 of the network's weights that all of this was fitted to.
        calibrated_on: Patients of the calibration, in words.
        candidate: Logit of the probability that a review candidate is tumor, from `tokenunet.review.candidates`.
        least_probability: Probability from which on a candidate is listed.
        dice: Logit of the expected Dice coefficient of each region, from `tokenunet.review.expected_dice`.
        volume: Logarithm of the true volume over the segmented one, of each region if there is one at all.
    """

    weights_sha256: str
    calibrated_on: str
    candidate: LinearModel
    least_probability: float
    dice: dict[str, IntervalModel]
    volume: dict[str, IntervalModel]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ReviewCalibration":
        """Parse the entry of a manifest.

        Raises:
            ValueError: If a number is not finite.
            KeyError: If a value is missing.
            TypeError: If a value has the wrong type.
        """
        return cls(
            weights_sha256=str(values["weights_sha256"]),
            calibrated_on=str(values["calibrated_on"]),
            candidate=_linear(values["candidate"]),
            least_probability=_number(values["least_probability"]),
            dice={str(region): _interval(model) for region, model in values["dice"].items()},
            volume={str(region): _interval(model) for region, model in values["volume"].items()},
        )


def sigmoid(logit: float) -> float:
    """Return the probability of a logit."""
    return 0.5 * (1 + math.tanh(logit / 2))


def _interval(values: Mapping[str, Any]) -> IntervalModel:
    center, spread = _linear(values["center"]), _linear(values["log_spread"])
    return IntervalModel(center, spread, _number(values["low"]), _number(values["high"]))


def _linear(values: Mapping[str, Any]) -> LinearModel:
    weights = {str(name): _number(weight) for name, weight in values["weights"].items()}
    return LinearModel(weights, _number(values["bias"]))


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)
