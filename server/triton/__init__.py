"""tritonserver: its installation, process, log, backend processes, and loading into it."""
