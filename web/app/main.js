// Starts the page.
import { html, render } from "./dom.js";
import { App } from "./app.js";

render(html`<${App} />`, document.getElementById("page"));
