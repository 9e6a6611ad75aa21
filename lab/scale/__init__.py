"""Cost as work grows: larger images and batches, more callers, more pipelines; then on paper."""
