/** The console's first script. */
import { render } from "preact";
import { App } from "./app.tsx";
import { loadMe } from "./me.ts";
import { applyTheme } from "./theme.ts";

applyTheme();
void loadMe();
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
}
