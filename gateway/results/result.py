"""What Triton may have found in an image, by the pipeline's task."""

from gateway.results.classification import Opinion
from gateway.results.detection import Detections

Finding = Opinion | Detections
"""Each has its `pipeline`, the members `heard`, the `threshold`, and `named`: what it says is in
the image, as pairs of class and confidence."""
