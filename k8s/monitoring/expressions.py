"""Parses PromQL expressions: their metrics' names and the labels that they select by."""

import re

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_SELECTOR = re.compile(r"\{[^}]*\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_OFFSET = re.compile(r"\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_WORDS = {"and", "or", "unless", "bool", "inf", "nan", "group_left", "group_right"}
_MATCHED = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"((?:\\.|[^\"\\])*)\"")


def metrics(expression: str) -> set[str]:
    """The names of the series that an expression reads, as `gateway_requests_total`."""
    bare = expression
    # Strings first: a selector may hold a brace in one.
    for pattern in (_STRING, _SELECTOR, _RANGE, _LABELS, _OFFSET):
        bare = pattern.sub(" ", bare)
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


def labels(expression: str) -> set[tuple[str, str]]:
    """Each metric with a label that it is selected by, as `(up, job)`."""
    return {
        (metric, label)
        for metric, selector in _MATCHED.findall(expression)
        for label, _, _ in _MATCHER.findall(selector)
    }
