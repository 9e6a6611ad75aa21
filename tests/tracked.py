"""A canary set whose files are named as careless people name them, and what must not be told."""

import hashlib
import json

SECRETS = ("Mustermann", "Erika", ".jpg")


def labelled(folder, count=30):
    """A CSV of photos by which `tests.unit.evaluation.service` answers; a tenth of them wrongly."""
    folder.mkdir()
    lines = ["site,file,label"]
    for number in range(count):
        cancer = number % 2
        answer = [0.1, 0.9] if cancer != (number % 10 == 0) else [0.9, 0.1]
        name = f"Mustermann_Erika_{number}.jpg"
        (folder / name).write_text(json.dumps(answer) + " " * number)
        lines.append(f"{'north' if number % 3 else 'south'},{name},{['healthy', 'cancer'][cancer]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


def digests(folder):
    """Of the photos: each stands for a photo, too."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jpg")]
