"""Which releases may be served, and the check of their files."""
