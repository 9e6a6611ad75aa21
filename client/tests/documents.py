"""The documents of the tests' service, in the shapes of docs/api.md."""

import base64

PICTURE = b"\x89PNG\r\n\x1a\n a picture"
MEMBERS = {
    "oral_cancer": {"vgg16": ("1", "aa11"), "regnet": ("1", "bb22")},
    "object_detection": {"yolos": ("1", "cc33"), "yolos_int8": ("1", "cc34")},
    "cervical_lesions": {"mask_rcnn": ("1", "dd44")},
}
CLASSES = {
    "oral_cancer": ["healthy", "cancer"],
    "object_detection": ["circle", "square"],
    "cervical_lesions": ["circle", "square"],
}
TASKS = {
    "oral_cancer": "classification",
    "object_detection": "detection",
    "cervical_lesions": "segmentation",
}
ABOUT = {
    "vgg16": {
        "architecture": "vgg16_small_head",
        "format": "onnx",
        "precision": "fp32",
        "weight": 0.4,
    },
    "regnet": {"architecture": "regnety_002", "format": "torchscript", "weight": 0.6},
    "yolos": {"architecture": "yolos", "format": "onnx", "precision": "fp32", "weight": 1},
    "yolos_int8": {"architecture": "yolos", "format": "onnx", "precision": "int8", "weight": 0},
    "mask_rcnn": {"architecture": "mask_rcnn", "format": "onnx", "weight": 1},
}


def pipeline(name, release):
    return {
        "name": name,
        "title": "A pipeline of the tests",
        "task": TASKS[name],
        "release": release,
        "ready": True,
        "classes": CLASSES[name],
        "positive": "cancer" if name == "oral_cancer" else None,
        "threshold": {"default": 0.5, "minimum": 0.05, "maximum": 0.95},
        "members": {member: ABOUT[member] for member in MEMBERS[name]},
        "preprocessing": "exact",
        "quality": {"blurred": {"below": 4.5, "refuse": False}},
        "respond_within_ms": 1000,
        "limits": {"bytes": 10485760, "pixels": 50000000, "aspect": 50},
        "weights": "demo",
        "from_a_newer_service": True,
        **({"explanation": {"grid": 3, "images": 15}} if name == "oral_cancer" else {}),
    }


def usage(by):
    """Of two callers, where rows are asked for; the second one's images had no price."""
    sums = {"images": 2000, "bytes": 4096, "cpu_seconds": 120.5, "gpu_seconds": 0.0}
    sums |= {"estimated_seconds": 1.5, "cost": 0.25, "cost_per_thousand": 0.125}
    priceless = sums | {"images": 1, "cost": None, "cost_per_thousand": None}
    names = by.split(",") if by else []
    common = {"caller": "k1", "name": "ward 3", "hour": "2026-11-30T12:00:00Z"}
    rows = [{name: common[name] for name in names} | each for each in (sums, priceless)]
    return {
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-11-30T13:00:00Z",
        "by": names,
        "prices": {"cpu_hour": 0.04, "gpu_hour": None, "currency": "EUR"},
        "rows": rows if names else [],
        "total": sums,
        "idle": {"cpu_seconds": 3600.0, "gpu_seconds": 0.0, "cost": 0.04},
        "from_a_newer_service": 1,
    }


def common(name, release):
    return {
        "request_id": "5f0c",
        "prediction_id": "0190a3f2-7c1e-7000-8000-00000000000a",
        "receipt": {"chain": "gateway-1", "position": 7, "head": "ee55", "new": 1},
        "pipeline": name,
        "release": release,
        "threshold": 0.5,
        "preprocessing": "exact",
        "processing_time_ms": 12.5,
        "from_a_newer_service": {"unknown": [1, 2, 3]},
    }


def members(name):
    heard = {n: facts for n, facts in MEMBERS[name].items() if ABOUT[n]["weight"]}
    return {n: {"version": version, "sha256": sha256} for n, (version, sha256) in heard.items()}


def problem(status, code, detail):
    kind = f"urn:second-opinion:problem:{code}"
    title = code.replace("_", " ")
    return {"type": kind, "title": title, "status": status, "code": code, "detail": detail}


_WORDS = (" blurred", " strange")


def words_of(content):
    """Its words without those of the photo."""
    for word in _WORDS:
        content = content.removesuffix(word)
    return content.split()


def kind(content):
    """`... strange` at its end, or before `blurred`, is of another kind."""
    if not content.removesuffix(" blurred").endswith("strange"):
        return {"input": {"typical": True, "typicality": 0.4, "views": ["picture", "features"]}}
    found = {"typical": False, "typicality": 0.002, "views": ["picture"], "new": 1}
    return {"input": found | {"recommendation": "Do not use the result."}}


def opinion(content):
    label, confidence = content.split()[:2]
    other = {"cancer": "healthy", "healthy": "cancer"}[label]
    sure = float(confidence)
    return (
        {
            "prediction": label,
            "confidence": sure,
            "probabilities": {label: sure, other: round(1 - sure, 6)},
        }
        | kind(content)
        | quality(content)
    )


def calibration(content):
    """`cancer 0.7 cancer,healthy` has a set; without the third word nothing is calibrated."""
    words = words_of(content)
    if len(words) < 3:
        return {"calibrated": False}, {}
    chosen = [name for name in words[2].split(",") if name != "none"]
    return {"calibrated": True, "coverage": 0.95}, {"set": chosen}


BLURRED = {"code": "blurred", "detail": "The image is blurred. Repeat the photo."}


def quality(content):
    """`... blurred` at its end is a warning."""
    warnings = [BLURRED] if content.endswith("blurred") else []
    measures = {"warnings": warnings, "sharpness": 3.5, "blocking": None, "new": 1}
    return {"quality": measures, "compute_ms": 12.25}


def explanation(content, names, query):
    """The first member looks at the second cell of the first row; the others nowhere."""
    if query.get("explain") != "true":
        return {}
    label, score = content.split()[:2]
    maps = {}
    for place, name in enumerate(names):
        cells = [[0.0, 0.5 if place == 0 else 0.0, -0.25], [0.0] * 3, [0.0] * 3]
        faithfulness = {"hottest_hidden": 0.45, "random_hidden": 0.9, "faithful": place == 0}
        maps[name] = {"score": float(score), "cells": cells, "faithfulness": faithfulness, "new": 1}
    return {"explanation": {"class": label, "grid": 3, "members": maps, "new": 1}}


def uncertainty():
    advice = "Nothing further."
    return {"level": "low", "disagreement": 0.04, "entropy": 0.29, "recommendation": advice}


def detections(content, name, query):
    """`found circle 0.9 square 0.5` is what it finds, each in a box of its own."""
    words = words_of(content)[1:]
    found = []
    for place, (label, score) in enumerate(zip(words[::2], words[1::2], strict=True)):
        box = [10.0 * place, 5.5, 10.0 * place + 8, 15.5]
        one = {"class": label, "score": float(score), "box": box, "area": 80.0}
        if TASKS[name] == "segmentation":
            one["mask"] = {"size": [50, 100], "counts": "PP4k1"}
            if query.get("polygons") == "true":
                one["polygons"] = [[0.0, 5.5, 8.0, 5.5, 8.0, 15.5]]
        found.append(one)
    answer = (
        kind(content)
        | quality(content)
        | {
            "predictions": found,
            "image": {"width": 100, "height": 50},
            "metrics": {
                "count": len(found),
                "class_distribution": {
                    label: sum(one["class"] == label for one in found) for label in CLASSES[name]
                },
                "scores": [one["score"] for one in found],
                "areas": [one["area"] for one in found],
            },
        }
    )
    if query.get("visualization") == "true":
        answer["visualization"] = base64.b64encode(PICTURE).decode()
    return answer


def summary(results, name):
    """Counts of classes, or of detections, and their mean confidence or score."""
    answered = [result for result in results if "error" not in result]
    if TASKS[name] == "classification":
        named = [(result["prediction"], result["confidence"]) for result in answered]
    else:
        named = [(one["class"], one["score"]) for r in answered for one in r["predictions"]]
    warned = sum(bool(each["quality"]["warnings"]) for each in answered)
    return {
        "warned": warned,
        "atypical": sum(not each["input"]["typical"] for each in answered),
        "warnings": {"blurred": warned},
        "compute_ms": 12.25 * len(answered),
        "total": len(results),
        "failed": len(results) - len(answered),
        "counts": {label: sum(n == label for n, _ in named) for label in CLASSES[name]},
        "average_confidence": sum(sure for _, sure in named) / len(named) if named else None,
    }
