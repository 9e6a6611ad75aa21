"""What people say of predictions: checked against the pipeline, appended, never overwritten."""
