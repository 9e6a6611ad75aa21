// Boxes that are drawn, moved and resized over the photo, in the photo's own pixels.
import { html, useEffect, useRef } from "./dom.js";
import { boxWithin } from "./finding.js";
import { styleOf } from "./overlay.js";

/** Pixels of the screen: a smaller box was a click. */
const SMALLEST = 4;
const CORNERS = [
  [0, 1],
  [2, 1],
  [2, 3],
  [0, 3],
];

/**
 * @param objects the boxes, each with its class
 * @param onObjects takes changed ones; a changed box has no mask any more
 * @param image the size that the boxes count in
 * @param classes of the pipeline; a new box is of the first
 */
export function BoxEditor({ objects, onObjects, image, classes }) {
  const drag = useRef(null);
  const drawing = useRef(null);
  // Below a long answer the photo may be out of sight.
  useEffect(() => drawing.current.closest(".viewer").scrollIntoView({ block: "nearest" }), []);
  const { width, height } = image;

  function pointOf(event) {
    const matrix = event.currentTarget.getScreenCTM().inverse();
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
  }
  const replaced = (at, object) => objects.map((one, index) => (index === at ? object : one));

  function onPointerDown(event) {
    if (event.button) return;
    const { x, y } = pointOf(event);
    const at = event.target.dataset.at === undefined ? objects.length : Number(event.target.dataset.at);
    const corner = event.target.dataset.corner;
    event.currentTarget.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (at === objects.length) {
      const box = [x, y, x, y];
      drag.current = { at, sides: [2, 3], box, x, y, screen: [event.clientX, event.clientY] };
      onObjects([...objects, { class: classes[0], box }]);
    } else {
      const sides = corner === undefined ? [0, 1, 2, 3] : CORNERS[corner];
      drag.current = { at, sides, box: objects[at].box, x, y };
    }
  }
  function onPointerMove(event) {
    if (!drag.current) return;
    const { at, sides, box, x, y } = drag.current;
    const point = pointOf(event);
    let across = point.x - x;
    let down = point.y - y;
    if (sides.length === 4) {
      // A box that is moved keeps its size at the edges.
      across = Math.min(width - box[2], Math.max(-box[0], across));
      down = Math.min(height - box[3], Math.max(-box[1], down));
    }
    const moved = [...box];
    for (const side of sides) moved[side] += side % 2 ? down : across;
    onObjects(replaced(at, { class: objects[at].class, box: boxWithin(moved, image) }));
  }
  function onPointerUp(event) {
    const { at, screen } = drag.current ?? {};
    drag.current = null;
    if (!screen) return;
    const far = Math.max(Math.abs(event.clientX - screen[0]), Math.abs(event.clientY - screen[1]));
    if (far < SMALLEST) onObjects(objects.filter((_, index) => index !== at));
  }
  return html`<svg
    ref=${drawing}
    class="overlay is-editor"
    viewBox=${`0 0 ${width} ${height}`}
    preserveAspectRatio="none"
    aria-hidden="true"
    onPointerDown=${onPointerDown}
    onPointerMove=${onPointerMove}
    onPointerUp=${onPointerUp}
    onPointerCancel=${onPointerUp}
  >
    <rect class="canvas" width=${width} height=${height} />
    ${objects.map(({ class: name, box }, at) => {
      const [x1, y1, x2, y2] = box;
      const around = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
      const line = { "vector-effect": "non-scaling-stroke" };
      return html`<g key=${at} class=${`shape ${styleOf(name, classes).colour}`}>
        <rect class="casing" fill="none" ...${around} ...${line} />
        <rect class="box-line is-held" data-at=${at} ...${around} ...${line} />
        ${CORNERS.map(
          ([across, down], corner) => html`<path
            key=${corner}
            class="handle"
            data-at=${at}
            data-corner=${corner}
            d=${`M${box[across]} ${box[down]}h0`}
            ...${line}
          />`,
        )}
      </g>`;
    })}
  </svg>`;
}
