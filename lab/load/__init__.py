"""The load generator: a process of its own, told what to ask by lines of JSON."""
