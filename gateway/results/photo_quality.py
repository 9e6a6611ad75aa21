"""The quality of a photo: its measures and warnings, read from Triton's tensors."""

import math
from dataclasses import dataclass
from typing import Self

from gateway.core.catalog import Pipeline
from gateway.results.shapes import PhotoQualityFacts
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.enums import Measure, QualityWarning
from pipelines.protocol import Output


@dataclass(frozen=True, slots=True)
class PhotoQuality:
    """What Triton measured of one photo, and which bounds of the release it is beyond."""

    measures: dict[Measure, float | None]
    """None: the measure does not apply to this photo."""
    warnings: dict[QualityWarning, str]
    """The text of each, with its remedy; in the order of the measures."""
    judged: tuple[QualityWarning, ...]
    """Those that the release has a bound for."""

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline) -> Self:
        """Reads the tensors of one image, of whatever task.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        measures = outputs.floats(Output.QUALITY, len(Measure))
        judged = outputs.ints(Output.QUALITY_WARNINGS, len(QualityWarning))
        warnings, bounded = {}, []
        for warning, beyond in zip(QualityWarning, judged, strict=True):
            bound = getattr(pipeline.spec.quality, warning)
            if beyond not in {-1, 0, 1} or (bound is None and beyond != -1):
                raise invalid_model_output()
            if bound is not None:
                bounded.append(warning)
            if beyond == 1:
                warnings[warning] = bound.text
        if any(map(math.isinf, measures)):
            raise invalid_model_output()
        return cls(
            {
                name: None if math.isnan(value) else value
                for name, value in zip(Measure, measures, strict=True)
            },
            warnings,
            tuple(bounded),
        )

    def record(self) -> dict[str, list[str] | float | None]:
        """As the audit log keeps it: the measures, and the codes of the warnings."""
        measures = {str(name): value for name, value in self.measures.items()}
        return {"warnings": [str(code) for code in self.warnings], **measures}

    def facts(self) -> PhotoQualityFacts:
        """As the answers show it."""
        measures = self.measures
        return {
            "warnings": [{"code": code, "detail": text} for code, text in self.warnings.items()],
            "sharpness": measures[Measure.SHARPNESS],
            "dark_share": measures[Measure.DARK_SHARE],
            "bright_share": measures[Measure.BRIGHT_SHARE],
            "resolution": measures[Measure.RESOLUTION],
            "blocking": measures[Measure.BLOCKING],
            "colour_shift": measures[Measure.COLOUR_SHIFT],
            "brightness": measures[Measure.BRIGHTNESS],
        }
