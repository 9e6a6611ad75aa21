"""Other model servers, each in its own virtual environment, set up as its documentation advises."""
