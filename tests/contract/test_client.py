"""The client knows what the service answers and reads: fields, no other ones, and image formats."""

import msgspec
import pytest
from secondopinion import (
    AdvancedPrediction,
    AllLoadedReleases,
    AuditPage,
    AuditRow,
    BatchResult,
    Cases,
    Choices,
    Deletion,
    Detections,
    DetectionsBatch,
    FeedbackHistory,
    FeedbackReceipt,
    Finding,
    Page,
    Pipeline,
    Pipelines,
    Prediction,
    Problem,
    Receipt,
    UsageReport,
    photo_files,
)

from gateway.app import create_app
from gateway.settings import Settings
from pipelines import formats

# Classifiers first, as in the gateway's document.
TYPES = {
    "/predict": (Prediction, Detections),
    "/predict/advanced": (AdvancedPrediction, Detections),
    "/predict/batch": (BatchResult, DetectionsBatch),
}
ROUTES = {
    **{f"POST /api/v1{path}": types for path, types in TYPES.items()},
    **{f"POST /api/v1/pipelines/{{name}}{path}": types for path, types in TYPES.items()},
    "GET /api/v1/pipelines": (Pipelines,),
    "GET /api/v1/pipelines/{name}": (Pipeline,),
    "GET /api/v1/releases": (AllLoadedReleases,),
    "POST /api/v1/predictions/{prediction_id}/feedback": (FeedbackReceipt,),
    "GET /api/v1/predictions/{prediction_id}/feedback": (FeedbackHistory,),
    "DELETE /api/v1/predictions/{prediction_id}/feedback/{feedback_id}/comment": (Deletion,),
    "GET /api/v1/feedback": (Cases,),
    "DELETE /api/v1/predictions/{prediction_id}/image": (Deletion,),
    "GET /api/v1/usage": (UsageReport,),
    "GET /api/v1/audit": (AuditPage,),
    "GET /api/v1/predictions/{prediction_id}": (AuditRow,),
    "GET /api/v1/predictions/{prediction_id}/receipt": (Receipt,),
}
NOT_JSON = {"GET /api/v1/predictions/{prediction_id}/image"}
# Who changes what serves has `python -m releases` beside the server.
OF_OPERATORS = {
    "GET /api/v1/releases/{pipeline}",
    "GET /api/v1/releases/{pipeline}/shadow",
    "GET /api/v1/releases/{pipeline}/watch",
    "POST /api/v1/releases/{pipeline}/{action}",
}
# The page logs in, where the client sends its key each time; and shows operators what serves.
OF_THE_PAGE = {f"{method} /api/v1/session" for method in ("GET", "POST", "DELETE")}
OF_THE_PAGE |= {"GET /api/v1/session/ways", "GET /api/v1/served"}
# What the client adds: the JSON object itself, the members of an advanced answer out of its
# `models`, the header Retry-After, the request's id, which an image's error lacks, and the
# signature of a receipt, which those of rows and of feedback lack.
OF_THE_CLIENT = {
    *(f"Receipt.{name}" for name in ("statement", "at", "key", "signature")),
    "raw",
    "AdvancedPrediction.members",
    "Problem.retry_after",
    "Problem.request_id",
}

# Of a batch without any answer. The client raises its problem and leaves the images' own out.
LEFT_OUT = {"Problem.results: the client lacks it", "Problem.summary: the client lacks it"}


@pytest.fixture(scope="module")
def document():
    return create_app(Settings()).openapi()


def operation(document, route):
    method, path = route.split()
    return document["paths"][path][method.lower()]


def shapes(schema):
    """The alternatives of a schema that are not null."""
    kinds = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [kind for kind in kinds if kind.get("type") != "null"]


def nullable(schema):
    return len(shapes(schema)) < len(schema.get("anyOf") or schema.get("oneOf") or [schema])


class Comparison:
    """Collects where the gateway's schema and the client's differ."""

    def __init__(self, document):
        self.document = document
        self.differences = []

    def of(self, schema, kind):
        _, self.types = msgspec.json.schema_components([kind], ref_template="{name}")
        self.compare(kind.__name__, schema, {"$ref": kind.__name__})
        return self.differences

    def resolve(self, schema):
        """The schema itself; the client's references are bare names."""
        name = schema.get("$ref")
        if name is None:
            return schema
        if name in self.types:
            return self.types[name]
        return self.document["components"]["schemas"][name.rpartition("/")[2]]

    def merged(self, alternatives):
        """One object that may be any of several: what not all of them have may be missing."""
        if len(alternatives) == 1:
            return alternatives[0]
        required = set.intersection(*(set(each["required"]) for each in alternatives))
        properties = {n: s for each in alternatives for n, s in each["properties"].items()}
        return {"type": "object", "properties": properties, "required": sorted(required)}

    def compare(self, where, ours, theirs):
        if nullable(ours) and not nullable(theirs) and "default" not in theirs:
            self.differences.append(f"{where}: may be null")
        (theirs,) = shapes(theirs)
        ours = self.merged([self.resolve(schema) for schema in shapes(ours)])
        name = theirs.get("$ref", where)
        theirs = self.resolve(theirs)
        if ours["type"] != theirs["type"]:
            self.differences.append(f"{where}: {ours['type']} is {theirs['type']} in the client")
        elif "properties" in ours or "properties" in theirs:
            self.compare_fields(name, ours, theirs)
        elif ours["type"] == "object":
            self.compare_values(where, ours["additionalProperties"], theirs)
        elif ours["type"] == "array":
            self.compare_items(where, ours, theirs)

    def compare_values(self, where, ours, theirs):
        """Of an object with any keys; `True` where its values may be anything, in both."""
        known = theirs.get("additionalProperties", True)
        if ours is True or known in (True, {}):
            if (ours is True) != (known in (True, {})):
                self.differences.append(f"{where}.*: only one of both takes any value")
            return
        self.compare(f"{where}.*", ours, known)

    def compare_fields(self, name, ours, theirs):
        fields, known = ours["properties"], theirs["properties"]
        added = {n for n in known if {n, f"{name}.{n}"} & OF_THE_CLIENT}
        extra = known.keys() - fields.keys() - added
        self.differences += [f"{name}.{n}: only the client has it" for n in sorted(extra)]
        for field, schema in fields.items():
            where = f"{name}.{field}"
            if field not in known:
                self.differences.append(f"{where}: the client lacks it")
                continue
            sent = field in ours.get("required", ())
            if field in theirs["required"] and not sent:
                self.differences.append(f"{where}: may be missing")
            # One that may be missing is left out and never null.
            self.compare(where, schema if sent else shapes(schema)[0], known[field])

    def compare_items(self, where, ours, theirs):
        fixed = theirs.get("prefixItems", [])
        sent = ours.get("prefixItems") or [ours["items"]] * max(len(fixed), 1)
        wanted = fixed or [theirs["items"]]
        if len(sent) != len(wanted):
            self.differences.append(f"{where}: {len(sent)} items, {len(wanted)} in the client")
        for one, other in zip(sent, wanted, strict=False):
            self.compare(f"{where}[]", one, other)


def test_every_route_of_the_api_is_one_of_the_clients(document):
    found = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/")
    }
    assert found == ROUTES.keys() | NOT_JSON | OF_THE_PAGE | OF_OPERATORS


@pytest.mark.parametrize("route", ROUTES)
def test_answers_have_the_fields_of_the_clients_types(document, route):
    responses = operation(document, route)["responses"]
    (response,) = (response for status, response in responses.items() if status < "300")
    found = shapes(response["content"]["application/json"]["schema"])
    differences = [
        difference
        for schema, kind in zip(found, ROUTES[route], strict=True)
        for difference in Comparison(document).of(schema, kind)
    ]
    assert not differences


def test_problems_have_the_fields_of_the_clients_type(document):
    schemas = [
        content["schema"]
        for route in ROUTES
        for status, response in operation(document, route)["responses"].items()
        for content in response["content"].values()
        if status >= "300" and content.get("schema")
    ]
    # FastAPI names its own shape for 422 too, which no route sends.
    ours = [schema for schema in schemas if "HTTPValidationError" not in schema.get("$ref", "")]
    assert ours
    for schema in ours:
        assert set(Comparison(document).of(schema, Problem)) <= LEFT_OUT


def test_parameters_are_the_clients_choices(document):
    for route in ROUTES:
        if route.endswith(tuple(TYPES)):
            parameters = operation(document, route)["parameters"]
            named = {each["name"] for each in parameters if each["in"] == "query"}
            headers = {each["name"] for each in parameters if each["in"] == "header"}
            sent = {"X-Keep-Image", "X-Signed-Receipt", "X-Release", "X-Respond-Within-Ms"}
            assert headers >= sent
            wishes = {"keep_image", "signed_receipt", "release", "respond_within"}
            assert named | {"pipeline"} | wishes == set(Choices.__annotations__)


def test_the_query_for_cases_is_the_clients_page(document):
    parameters = operation(document, "GET /api/v1/feedback")["parameters"]
    named = {each["name"] for each in parameters if each["in"] == "query"}
    assert named - {"pipeline"} == set(Page.__annotations__)


def test_what_is_said_of_a_prediction_is_the_clients_finding(document):
    fields = document["components"]["schemas"]["Feedback"]["properties"]
    assert set(fields) == set(Finding.__annotations__)


@pytest.mark.parametrize(
    "head",
    [
        *(start for start, _ in formats._SIGNATURES),
        b"RIFF\0\0\0\0WEBP",
        *(b"\0\0\0\x18ftyp" + brand for brand in sorted(formats._AVIF | formats._HEIC)),
    ],
)
def test_what_the_service_reads_is_a_photo_to_the_client(head, tmp_path):
    assert formats.sniff(head) is not None
    (tmp_path / "IM0001").write_bytes(head)
    assert photo_files.is_photo(tmp_path / "IM0001")
