"""A made-up run: two rounds, in the second of which the machine was half as fast."""

from lab.bench.raw import Cell, Described, Limit, Raw, Session
from lab.machine import Machine


def limit(round_, images, processes=2, workload="light", cpu_seconds=8.0):
    return Limit(
        round=round_,
        workload=workload,
        processes=processes,
        threads=2 // processes,
        batch=4,
        images=images,
        seconds=10.0,
        cpu_seconds=cpu_seconds,
        pss_mib=300.0,
    )


LIMITS = {
    0: (limit(0, 1100, cpu_seconds=8.8), limit(0, 900, cpu_seconds=7.2)),
    1: (limit(1, 500, cpu_seconds=4.0), limit(1, 500, cpu_seconds=4.0)),
}


def cell(round_, images, concurrency=8, **changed):
    facts = {
        "round": round_,
        "contender": "fast",
        "workload": "light",
        "concurrency": concurrency,
        "images": images,
        "wrong": 0,
        "errors": 0,
        "error": None,
        "seconds": 10.0,
        "p50_ms": 40.0 + round_,
        "p99_ms": 90.0,
        "cpu_seconds": 12.0,
        "generator_cpu_seconds": 0.1,
        "pss_mib": 400.0 + round_,
        "uss_mib": 350.0,
        # The machine slows down while it is measured.
        "limits": LIMITS[round_],
    }
    return Cell(**(facts | changed))


def session(round_, contender="fast", **changed):
    facts = {"cold_start_seconds": 2.0 + round_, "apart": 1e-6}
    return Session(round=round_, contender=contender, workloads=("light",), **(facts | changed))


def run(**changed):
    facts = {
        "command": "python -m lab.bench --rounds 2",
        "started": "2026-01-02T03:04:05+00:00",
        "minutes": 3.0,
        "decoding": "exact",
        "photo_size": (640, 480),
        "rounds": 2,
        "seconds": 10.0,
        "concurrency": (8,),
        "workloads": ("light",),
        "machine": Machine(
            cpu="A processor",
            cores=2,
            memory_gib=24.0,
            system="Linux",
            python="3.11",
            load_average=0.1,
        ),
        "contenders": (
            Described(
                name="fast", title="Fast", protocol="http", tuning="as it is", versions={"a": "1"}
            ),
        ),
        "limits": (
            limit(-1, 5000),
            limit(0, 1000),
            limit(0, 900, processes=1),
            limit(1, 500, cpu_seconds=4.0),
            limit(1, 400, processes=1),
        ),
        "sessions": (session(-1), session(0), session(1)),
        "cells": (cell(0, 800), cell(1, 300)),
    }
    return Raw(**(facts | changed))
