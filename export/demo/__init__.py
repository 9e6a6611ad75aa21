"""Demo weights from procedurally drawn images: something to try the service with, nothing clinical."""
