// Boxes and masks over a photo, in the photo's own pixels, so that they sit right at every size.
import { html, useMemo } from "./dom.js";
import { score } from "./texts.js";
import { maskPath } from "./masks.js";

/** Share of the photo's height that a label needs above its box. */
const LABEL = 0.08;
/** From this share of the photo's width on, a label ends where its box ends. */
const FAR_RIGHT = 0.65;
const DASHES = ["none", "10 4", "3 3", "12 3 3 3", "6 6", "1 4", "14 6"];
export const COLOURS = 7;

/** The colour and the dashes of a class: dashes tell classes apart where colours do not. */
export function styleOf(name, classes) {
  const index = Math.max(0, classes.indexOf(name));
  return { colour: `class-${index % COLOURS}`, dashes: DASHES[index % DASHES.length] };
}

function outline({ polygons = [] }) {
  return polygons
    .map((points) => {
      const pairs = [];
      for (let at = 0; at < points.length; at += 2) pairs.push(`${points[at]} ${points[at + 1]}`);
      return `M${pairs.join("L")}Z`;
    })
    .join("");
}

function Shape({ object, classes, chosen }) {
  const [x1, y1, x2, y2] = object.box;
  const { colour, dashes } = styleOf(object.class, classes);
  const box = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
  const line = { fill: "none", "vector-effect": "non-scaling-stroke" };
  const around = useMemo(() => outline(object), [object.polygons]);
  const mask = useMemo(() => object.mask && maskPath(object.mask), [object.mask]);
  return html`<g class=${`shape ${colour} ${chosen ? "is-chosen" : ""}`}>
    ${mask && html`<path class="mask" d=${mask} />`}
    ${around && html`<path class="outline" d=${around} ...${line} />`}
    <rect class="casing" ...${box} ...${line} />
    <rect class="box-line" ...${box} ...${line} stroke-dasharray=${dashes} />
  </g>`;
}

/**
 * @param objects what the service found, in the order of their numbers
 * @param image the size in pixels that their places count in
 * @param classes of the pipeline
 * @param chosen number of the object that is pointed at, from 1 on
 */
export function Overlay({ objects, image: { width, height }, classes, chosen }) {
  const share = (value, size) => `${(value / size) * 100}%`;
  return html`<svg
      class="overlay"
      viewBox=${`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      ${objects.map(
        (object) => html`<${Shape}
          key=${object.number}
          object=${object}
          classes=${classes}
          chosen=${object.number === chosen}
        />`,
      )}
    </svg>
    ${objects.map(
      ({ number: n, class: name, score: value, box: [x1, y1, x2] }) => html`<span
        key=${n}
        class=${`chip ${styleOf(name, classes).colour} ${y1 > height * LABEL ? "is-above" : ""} ${
          n === chosen ? "is-chosen" : ""
        }`}
        style=${{
          top: share(y1, height),
          ...(x1 > width * FAR_RIGHT
            ? { right: share(width - x2, width) }
            : { left: share(x1, width) }),
        }}
        aria-hidden="true"
        >${n} ${name} ${score(value)}</span
      >`,
    )}`;
}
