"""Tiny networks in the places of real ones: a detector that finds what is red, a brightness."""

import onnx

_FIND = """
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    first = Constant <value_ints = [0]> ()
    second = Constant <value_ints = [1]> ()
    pixels = Cast <to = 1> (INPUT__0)
    red = Gather <axis = -1> (pixels, zero)
    green = Gather <axis = -1> (pixels, one)
    excess = Sub (red, green)
    limit = Constant <value_float = 100.0> ()
    there = Greater (excess, limit)
    inside = Cast <to = 1> (there)
    columns = ReduceMax <axes = [-2], keepdims = 0> (inside)
    rows = ReduceMax <axes = [-1], keepdims = 0> (inside)
    x1 = ArgMax <axis = -1, keepdims = 1> (columns)
    y1 = ArgMax <axis = -1, keepdims = 1> (rows)
    last_x = ArgMax <axis = -1, keepdims = 1, select_last_index = 1> (columns)
    last_y = ArgMax <axis = -1, keepdims = 1, select_last_index = 1> (rows)
    x2 = Add (last_x, one)
    y2 = Add (last_y, one)
    corners = Concat <axis = -1> (x1, y1, x2, y2)
    box = Cast <to = 1> (corners)
    highest = ReduceMax <axes = [-2, -1], keepdims = 0> (excess)
    white = Constant <value_float = 255.0> ()
    score = Div (highest, white)
"""
# Two candidates for each image: a faint one of class 1 (a tenth of the score), then one of class 3.
_BATCHED = """
    tenth = Constant <value_float = 0.1> ()
    sure = Unsqueeze (score, second)
    faint = Mul (sure, tenth)
    scores = Concat <axis = 1> (faint, sure)
    one_box = Unsqueeze (box, second)
    boxes = Concat <axis = 1> (one_box, one_box)
    labels = Constant <value_ints = [1, 3]> ()
    shape = Shape (scores)
    classes = Expand (labels, shape)
"""
# One candidate of class 2 whose mask fills its box, or none at all.
_ALONE = """
    enough = Constant <value_floats = [0.3]> ()
    some_score = Unsqueeze (score, first)
    kept = Greater (some_score, enough)
    scores = Compress <axis = 0> (some_score, kept)
    some_box = Unsqueeze (box, first)
    boxes = Compress <axis = 0> (some_box, kept)
    label = Constant <value_ints = [2]> ()
    twenty_eight = Constant <value_ints = [28]> ()
    classes = Compress <axis = 0> (label, kept)
    none = Mul (x1, zero)
    side = Add (none, twenty_eight)
    size = Concat <axis = 0> (second, side, side)
    full = Constant <value_float = 0.9> ()
    filled = Expand (full, size)
    masks = Compress <axis = 0> (filled, kept)
"""
_BRIGHTNESS = """
    pixels = Cast <to = 1> (INPUT__0)
    mean = ReduceMean <axes = [1, 2, 3], keepdims = 1> (pixels)
    flat = Flatten (mean)
    white = Constant <value_float = 255.0> ()
    OUTPUT__0 = Div (flat, white)
"""
_COLOUR = """
    colours = ReduceMean <axes = [1, 2], keepdims = 0> (pixels)
    OUTPUT__1 = Div (colours, white)
"""
_SHY_BRIGHTNESS = """
    pixels = Cast <to = 1> (INPUT__0)
    mean = ReduceMean <axes = [1, 2, 3], keepdims = 0> (pixels)
    white = Constant <value_float = 255.0> ()
    there = Less (mean, white)
    told = Compress <axis = 0> (mean, there)
    second = Constant <value_ints = [1]> ()
    column = Unsqueeze (told, second)
    bright = Div (column, white)
    dark = Sub (bright, bright)
    OUTPUT__0 = Concat <axis = 1> (dark, bright)
"""


def boxes() -> onnx.ModelProto:
    """UINT8 [N, H, W, 3] to two candidates an image."""
    outputs = "float[N, 2, 4] boxes, float[N, 2] scores, int64[N, 2] classes"
    return _model("uint8[N, H, W, 3] INPUT__0", outputs, _FIND + _BATCHED)


def masks() -> onnx.ModelProto:
    """UINT8 [H, W, 3] to one candidate or none."""
    outputs = "float[n, 4] boxes, float[n] scores, int64[n] classes, float[n, s, s] masks"
    return _model("uint8[H, W, 3] INPUT__0", outputs, _FIND + _ALONE)


def brightness() -> onnx.ModelProto:
    """UINT8 [N, H, W, 3] to one logit in [0, 1]."""
    return _model("uint8[N, H, W, 3] INPUT__0", "float[N, 1] OUTPUT__0", _BRIGHTNESS)


def coloured_brightness() -> onnx.ModelProto:
    """UINT8 [N, H, W, 3] to one logit in [0, 1], and the mean red, green and blue as features."""
    outputs = "float[N, 1] OUTPUT__0, float[N, 3] OUTPUT__1"
    return _model("uint8[N, H, W, 3] INPUT__0", outputs, _BRIGHTNESS + _COLOUR)


def shy_brightness() -> onnx.ModelProto:
    """UINT8 [N, H, W, 3] to two logits for each image that is not white: 0, and one in [0, 1]."""
    return _model("uint8[N, H, W, 3] INPUT__0", "float[M, 2] OUTPUT__0", _SHY_BRIGHTNESS)


def _model(given: str, made: str, nodes: str) -> onnx.ModelProto:
    head = f'<ir_version: 8, opset_import: ["": 17]> tiny ({given}) => ({made})'
    model = onnx.parser.parse_model(f"{head} {{{nodes}}}")
    onnx.checker.check_model(model)
    return model
