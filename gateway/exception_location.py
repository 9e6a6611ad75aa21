"""Where an exception came from, without what it says: its text may hold data of a request."""

import traceback


def where(error: BaseException) -> str:
    """File and line that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
