// Whether the browser turns a photo as the service does, which reads the orientation of EXIF.

/** Two pixels by one with the orientation 6, so one by two where a browser turns the format. */
const PROBES = {
  "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAGmVYSWZNTQAqAAAACAABARIAAwAAAAEABgAAAAAAANZnS2kAAAAPSURBVHicY2BgYGBgYAAAAAcAAVchYhkAAAAASUVORK5CYII=",
  "image/webp": "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=",
};
const TAG = 0x0112;
const ENTRY = 12;

/** The orientation, 1 to 8, of EXIF data; 1 where there is none. */
function orientationOf(exif) {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const start = view.getUint32(0) === 0x45786966 ? 6 : 0; // "Exif", as in a JPEG
  const little = view.getUint16(start) === 0x4949;
  const first = start + view.getUint32(start + 4, little);
  for (let at = 0; at < view.getUint16(first, little); at += 1) {
    const entry = first + 2 + at * ENTRY;
    if (view.getUint16(entry, little) === TAG) return view.getUint16(entry + 8, little);
  }
  return 1;
}

/** Type and content of each chunk of a PNG or a WebP, until one is not whole. */
function* chunks(data, png) {
  const view = new DataView(data.buffer);
  const name = (at) => String.fromCharCode(...data.subarray(at, at + 4));
  let at = png ? 8 : 12;
  while (at + 8 <= data.length) {
    const size = view.getUint32(png ? at : at + 4, !png);
    const content = data.subarray(at + 8, at + 8 + size);
    yield [name(png ? at + 4 : at), content];
    // After a PNG's chunk comes a checksum; a WebP's are padded to an even size.
    at += 8 + size + (png ? 4 : size % 2);
  }
}

function sizeOf(blob) {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  return new Promise((resolve) => {
    image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => resolve([0, 0]);
    image.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}

async function turns(type) {
  const bytes = Uint8Array.from(atob(PROBES[type]), (digit) => digit.charCodeAt(0));
  const [width, height] = await sizeOf(new Blob([bytes], { type }));
  return width === 1 && height === 2;
}

/** Whether what the service found can be drawn over a photo. Every browser turns a JPEG. */
export async function turnedAlike(file) {
  const start = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...start);
  const png = text.startsWith("\x89PNG");
  if (!png && !(text.startsWith("RIFF") && text.endsWith("WEBP"))) return true;
  const data = new Uint8Array(await file.arrayBuffer());
  try {
    for (const [name, content] of chunks(data, png)) {
      if (name.toLowerCase().trim() !== "exif" || orientationOf(content) === 1) continue;
      return turns(png ? "image/png" : "image/webp");
    }
    return true;
  } catch {
    return false; // EXIF that cannot be read may say anything.
  }
}
