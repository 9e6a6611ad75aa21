// A photo at any size, with what was found over it. It is moved by scrolling its frame.
import { html, useEffect, useRef, useState } from "./dom.js";
import { turnedAlike } from "./orientation.js";
import { Overlay } from "./overlay.js";
import { percent, text } from "./texts.js";

const CLOSEST = 16;
const STEP = 1.5;

/**
 * @param photo one of the queue's
 * @param objects what the overlay shows
 * @param image the size that the service saw, once it is known
 * @param classes of the pipeline
 * @param chosen number of the object that is pointed at
 * @param children drawn over the photo, too
 */
export function Viewer({ photo, objects = [], image, classes, chosen, children }) {
  const [natural, setNatural] = useState(null);
  const [unseen, setUnseen] = useState(false);
  const [zoom, setZoom] = useState(1);
  const [covered, setCovered] = useState(true);
  const [alike, setAlike] = useState(null);
  const frame = useRef(null);

  useEffect(() => void (image && turnedAlike(photo.file).then(setAlike)), [image]);

  const size = image ?? natural;
  // A browser that turns the photo otherwise than the service did would put boxes beside things.
  const turned =
    image &&
    natural &&
    (alike === false || natural.width !== image.width || natural.height !== image.height);

  function zoomTo(wanted, at = { x: 0.5, y: 0.5 }) {
    const next = Math.min(CLOSEST, Math.max(1, wanted));
    const box = frame.current;
    const centre = [box.scrollLeft + box.clientWidth * at.x, box.scrollTop + box.clientHeight * at.y];
    setZoom(next);
    requestAnimationFrame(() => {
      box.scrollLeft = (centre[0] * next) / zoom - box.clientWidth * at.x;
      box.scrollTop = (centre[1] * next) / zoom - box.clientHeight * at.y;
    });
  }

  function onKeyDown(event) {
    const steps = { "+": zoom * STEP, "=": zoom * STEP, "-": zoom / STEP, 0: 1 };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    zoomTo(steps[event.key]);
  }

  useEffect(() => {
    const box = frame.current;
    function onWheel(event) {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const { left, top, width, height } = box.getBoundingClientRect();
      const at = { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
      zoomTo(zoom * (event.deltaY < 0 ? STEP : 1 / STEP), at);
    }
    box.addEventListener("wheel", onWheel, { passive: false });
    return () => box.removeEventListener("wheel", onWheel);
  }, [zoom]);

  return html`<figure class="viewer">
    <div
      class="frame"
      ref=${frame}
      tabindex="0"
      role="group"
      aria-label=${text("viewer.frame", { name: photo.name })}
      onKeyDown=${onKeyDown}
    >
      <div
        class="stage"
        style=${size ? { "--ratio": size.width / size.height, "--zoom": zoom } : {}}
        data-ready=${size ? "yes" : "no"}
      >
        ${unseen
          ? html`<p class="unseen">${text("viewer.unseen")}</p>`
          : html`<img
              key=${photo.id}
              src=${photo.url}
              alt=${text("viewer.photo", { name: photo.name })}
              decoding="async"
              onLoad=${({ target }) =>
                setNatural({ width: target.naturalWidth, height: target.naturalHeight })}
              onError=${() => setUnseen(true)}
            />`}
        ${image &&
        (unseen || (natural && alike)) &&
        !turned &&
        covered &&
        html`<${Overlay} objects=${objects} image=${image} classes=${classes} chosen=${chosen} />`}
        ${size && (unseen || (natural && (!image || alike))) && !turned && children}
      </div>
    </div>
    <figcaption class="tools">
      <button
        class="button"
        onClick=${() => zoomTo(zoom / STEP)}
        disabled=${zoom <= 1}
        aria-label=${text("viewer.out")}
      >
        −
      </button>
      <output class="zoom">${percent(zoom)}</output>
      <button
        class="button"
        onClick=${() => zoomTo(zoom * STEP)}
        disabled=${zoom >= CLOSEST}
        aria-label=${text("viewer.in")}
      >
        +
      </button>
      <button class="button" onClick=${() => zoomTo(1)} disabled=${zoom === 1}>
        ${text("viewer.whole")}
      </button>
      ${objects.length > 0 &&
      html`<button class="button" aria-pressed=${!covered} onClick=${() => setCovered(!covered)}>
        ${text("viewer.bare")}
      </button>`}
    </figcaption>
    ${turned && html`<p class="notice is-strong" role="alert">${text("viewer.turned")}</p>`}
  </figure>`;
}
