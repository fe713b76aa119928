/** Chromium, if this machine has one. */
import { spawnSync } from "node:child_process";

/** `CHROMIUM` or the first on the path. */
export const CHROMIUM = [
  process.env["CHROMIUM"] ?? "",
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
]
  .map((name) => spawnSync("sh", ["-c", `command -v "$0"`, name], { encoding: "utf8" }).stdout.trim())
  .find((path) => path !== "");

/** Why nothing can run in a browser here, if so. */
export const withoutBrowser =
  CHROMIUM === undefined ? "there is no Chromium: install it, or set CHROMIUM to its path" : undefined;
