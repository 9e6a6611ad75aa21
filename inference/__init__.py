"""The processing of one photo: decoding, resizing, colour, decision, masks, drawing.

NumPy, Pillow and simplejpeg alone: the backends in Triton, the exporter's gates and the benchmarks
all run this code, so that a rule is written once. Refusals are plain exceptions (errors.py).
"""
