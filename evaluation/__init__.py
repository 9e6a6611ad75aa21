"""What a running service's answers are worth, measured against labelled photos."""
