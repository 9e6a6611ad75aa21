"""The account of every answer."""
