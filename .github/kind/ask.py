"""Sends photos to the gateway until SECONDS are over; 1 where one was not answered with 200."""

import os
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

URL = "http://gateway.second-opinion:8080/api/v1/predict"
CALLERS = 4


def ask(photo: bytes, key: str) -> str:
    """What became of one request, each on a connection of its own."""
    headers = {"X-API-Key": key, "Content-Type": "image/jpeg"}
    try:
        with urllib.request.urlopen(urllib.request.Request(URL, photo, headers), timeout=90) as got:
            return str(got.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(500)!r}"
    except OSError as error:
        return repr(error)


def main() -> int:
    """Asks and counts."""
    photo = Path("/app/samples/cancer.jpg").read_bytes()
    end = time.monotonic() + float(os.environ["SECONDS"])
    key = os.environ["API_KEY"]

    def caller(_: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        while time.monotonic() < end:
            counts[ask(photo, key)] += 1
        return counts

    with ThreadPoolExecutor(CALLERS) as pool:
        counts = sum(pool.map(caller, range(CALLERS)), Counter[str]())
    sys.stdout.write(f"{dict(counts)}\n")
    return 0 if set(counts) == {"200"} else 1


if __name__ == "__main__":
    sys.exit(main())
