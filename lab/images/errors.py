"""What may go wrong, each with its remedy in the text."""


class ImageError(Exception):
    """An image cannot be built or tried, or is not as it has to be."""
