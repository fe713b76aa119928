/** docs/PLUGIN.md says what the plugin does: exit codes, messages, variables, folders. */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EXIT_CODES } from "../../../cli/failure.ts";
import { VERBS } from "../../../cli/verbs.ts";

const guide = readFileSync("docs/PLUGIN.md", "utf8");
const sources = globSync("cli/**/*.ts")
  .map((file) => readFileSync(file, "utf8"))
  .join("\n")
  // Messages are broken over lines.
  .replace(/["'`] \+\s+["'`]/g, "");

/** The first cells of the table under a heading of its columns. */
function cellsUnder(head: string): string[] {
  const [, table = ""] = guide.split(`| ${head} |`);
  const rows = table.split("\n").slice(2);
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows.slice(0, end).map((row) => row.split("|")[1]?.trim() ?? "");
}

describe("docs/PLUGIN.md", () => {
  it("has every exit code", () => {
    expect(cellsUnder("exit code | meaning")).toEqual(Object.values(EXIT_CODES).map(String));
  });

  it("has messages that there are", () => {
    const messages = cellsUnder("message | what to do").filter((cell) => !cell.endsWith("(kubectl)"));
    expect(messages.length).toBeGreaterThan(5);
    for (const message of messages) {
      for (const part of message.replaceAll("`", "").split("…")) {
        // What Access answers is in parentheses.
        const text = part.replace(/[()]/g, "").trim();
        if (text !== "") expect(sources, message).toContain(text);
      }
    }
  });

  it("has every variable that is the plugin's own", () => {
    const used = new Set([...sources.matchAll(/\b(?:SALLYPORT|CF_ACCESS)_[A-Z_]+\b/g)].map(([name]) => name));
    // The build's.
    used.delete("SALLYPORT_VERSION");
    for (const name of used) expect(guide).toContain(name);
  });

  it("uses verbs and options that there are", () => {
    const runs = [...guide.matchAll(/kubectl[ -]sallyport ([a-z]+)([^`\n>|]*)/g)];
    expect(runs.length).toBeGreaterThan(10);
    for (const [line, name, rest = ""] of runs) {
      const verb = VERBS.find((each) => each.name === name);
      expect(verb, line).toBeDefined();
      for (const [, option = ""] of rest.matchAll(/ --([a-z-]+)/g))
        expect(Object.keys(verb?.options ?? {}), line).toContain(option);
    }
  });
});
