/** Programs for SALLYPORT_BROWSER, each of which notes the addresses that it was given. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface PluginBrowser {
  readonly path: string;
  /** The addresses of sign-in pages so far. */
  opened(): string[];
}

/**
 * A program that signs a persona in as a person does who clicks: it gets the address and follows its
 * redirects.
 *
 * @param home an existing folder
 * @param ca path of the front's certificate authority
 */
export function clickingBrowser(home: string, persona: string, ca: string): PluginBrowser {
  return program(
    home,
    `
const { get } = await import("node:https");
const { readFileSync } = await import("node:fs");
const address = process.argv[2] + "&login_hint=${persona}";
get(address, { ca: readFileSync(${JSON.stringify(ca)}) }, (response) => {
  fetch(response.headers.location).then((page) => process.exit(page.ok ? 0 : 1));
});`,
  );
}

/** A program that only notes the address: somebody else opens it. */
export function notingBrowser(home: string): PluginBrowser {
  return program(home, "");
}

function program(home: string, script: string): PluginBrowser {
  const folder = mkdtempSync(join(home, "browser with spaces "));
  const notes = join(folder, "addresses");
  const path = join(folder, "browser");
  const module = join(folder, "browser.mjs");
  writeFileSync(
    module,
    `import { appendFileSync } from "node:fs";
appendFileSync(${JSON.stringify(notes)}, process.argv[2] + "\\n");
${script}
`,
  );
  // Not by its name: the plugin's own PATH may have no Node.js.
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${module}' "$@"\n`);
  chmodSync(path, 0o755);
  return { path, opened: () => (existsSync(notes) ? readFileSync(notes, "utf8").trim().split("\n") : []) };
}
