// Masks: COCO's compressed run lengths, read into the outline of their runs.

/** The lengths of runs, of the outside first, down the columns from the left. */
export function runLengths(counts) {
  const lengths = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let shift = 0;
    let digit;
    do {
      digit = counts.charCodeAt(at++) - 48;
      value |= (digit & 0x1f) << shift;
      shift += 5;
    } while (digit & 0x20);
    if (digit & 0x10) value |= -1 << shift;
    // From the third on each is said as the difference to the one two before.
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
  }
  return lengths;
}

/** An SVG path that fills exactly the pixels of a mask: a bar for each run within a column. */
export function maskPath({ size: [height], counts }) {
  const bars = [];
  let at = 0;
  runLengths(counts).forEach((length, index) => {
    if (index % 2) {
      let from = at;
      const end = at + length;
      while (from < end) {
        const column = Math.floor(from / height);
        const to = Math.min(end, (column + 1) * height);
        bars.push(`M${column} ${from - column * height}h1v${to - from}h-1z`);
        from = to;
      }
    }
    at += length;
  });
  return bars.join("");
}
