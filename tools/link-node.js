/**
 * Links `node_modules/.bin/node` to the Node.js build of this platform. Every npm script then runs on the
 * version that package-lock.json pins, whatever the machine has.
 *
 * npm 11.12 and later make this link. Earlier versions delete it again: the builds for other platforms, which
 * they discard, declare the same command. npm runs this script, `dependencies`, after it has changed
 * node_modules. Plain JavaScript: it runs on the machine's own Node.js, 20 or later.
 */
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const { optionalDependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
const build = Object.keys(optionalDependencies).find((name) =>
  existsSync(join(project, "node_modules", name, "bin", "node")),
);

// Windows has no symbolic links for ordinary users: there npm's own command files serve.
if (process.platform !== "win32") {
  if (build === undefined) {
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    if (major < 22 || (major === 22 && minor < 19)) {
      console.error(`The npm scripts need Node.js 22.19 or later. This machine has ${process.version}, and no build`);
      console.error(`is pinned for ${process.platform}-${process.arch}: install a later Node.js.`);
    }
  } else {
    const link = join(project, "node_modules", ".bin", "node");
    rmSync(link, { force: true });
    symlinkSync(join("..", build, "bin", "node"), link);
  }
}
