"""Which release serves whom: the commands that show it, and change it."""
