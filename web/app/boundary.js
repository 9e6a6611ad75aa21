// What is shown in place of a part of the page that failed: never an empty page.
import { Component, html } from "./dom.js";
import { text } from "./texts.js";

export class Boundary extends Component {
  componentDidCatch(error) {
    this.setState({ error });
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="notice is-strong is-page" role="alert">
      <strong>${text("boundary.title")}</strong>
      <p>${text("boundary.note")}</p>
    </div>`;
  }
}
