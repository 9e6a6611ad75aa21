"""Whether pipelines answer, and the launcher's page that says so."""
