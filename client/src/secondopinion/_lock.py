"""A lock on an open file that ends with the process, however that ends."""

import sys
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    _FAR_BEHIND_THE_DATA = 1 << 30

    def lock(file: BinaryIO) -> bool:
        """Whether this process now has the file to itself."""
        file.seek(_FAR_BEHIND_THE_DATA)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock(file: BinaryIO) -> bool:
        """Whether this process now has the file to itself."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
