"""Other model servers, each in a virtual environment of its own, as its documentation advises."""
