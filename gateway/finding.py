"""What Triton may have found in an image, by the pipeline's task."""

from gateway.detections import Detections
from gateway.opinion import Opinion

Finding = Opinion | Detections
"""Each has its `pipeline`, the members `heard`, the `threshold`, and `named`: what it says is in
the image, as pairs of class and confidence."""
