"""Demo weights, trained on generated drawings: for trying the service, without clinical meaning."""
