// A table that scrolls within itself where the screen is narrow.
import { html } from "./dom.js";

/**
 * @param title what it shows; its accessible name
 * @param columns the headings
 * @param rows arrays of cells; the first cell is the row's heading
 */
export function Table({ title, columns, rows }) {
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${title}>
    <table class="table is-fullwidth">
      <thead>
        <tr>
          ${columns.map((column) => html`<th key=${column} scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([head, ...cells], at) => html`<tr key=${at}>
            <th scope="row">${head}</th>
            ${cells.map((cell, index) => html`<td key=${index}>${cell}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
