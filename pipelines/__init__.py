"""The facts: one YAML a pipeline, its typed reader, and the words that travel between processes."""
