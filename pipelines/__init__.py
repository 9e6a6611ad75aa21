"""The facts: one YAML for each pipeline, its typed reader, and names that processes share."""
