"""Demo weights from procedurally drawn images: to try the service with, nothing clinical."""
