import { globSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { reservedNamesWarning } from "../../worker/config/load.ts";
import { fencedBlocks } from "../support/markdown.ts";

const text = readFileSync("docs/MONITORING.md", "utf8");

/** The quoted lines of the table, each as what it says between the `…`. */
const quoted = [
  ...text.matchAll(/^\| `((?:audit|recording|upstream|access|admin|export|internal|configuration)[^`]*)` \|/gm),
].map(([, line]) => line ?? "");

interface Call {
  readonly file: string;
  /** The text with `…` for each value; undefined where it is not written at the call. */
  readonly line: string | undefined;
}

/** Every console call of what runs in the Worker. */
const calls: Call[] = globSync(["worker/**/*.ts", "durable/**/*.ts", "audit/**/*.ts", "kubernetes/**/*.ts"]).flatMap(
  (file) =>
    [...readFileSync(file, "utf8").matchAll(/console\.\w+\(\s*(?:`((?:[^`\\]|\\.)*)`|"((?:[^"\\]|\\.)*)"|)/g)].map(
      ([, template, string]) => ({ file, line: (template ?? string)?.replaceAll(/\$\{[^{}]*\}/g, "…") }),
    ),
);

describe("the queries in docs/MONITORING.md", () => {
  it("find the sessions that alerts are for", () => {
    const database = new DatabaseSync(":memory:");
    for (const file of globSync("migrations/*.sql").sort()) database.exec(readFileSync(file, "utf8"));
    const add = database.prepare(
      "INSERT INTO events (session_id, seq, at, type, data, link, hash) VALUES (?, ?, ?, ?, ?, '', '')",
    );
    const now = Date.now();
    const session = (id: string, outcome: string, startedAt: number, endedAt: number) => {
      add.run(id, 0, startedAt, "start", JSON.stringify({ user: "mallory@example.com" }));
      add.run(id, 1, endedAt, "end", JSON.stringify({ outcome }));
    };
    session("cut", "interrupted", now - 3_600_000, now - 60_000);
    session("cut yesterday", "interrupted", now - 90_000_000, now - 80_000_000);
    session("over", "exited", now - 60_000, now - 30_000);
    for (let attempt = 0; attempt < 61; attempt++) session(`no ${attempt}`, "refused", now - attempt, now);
    const queries = fencedBlocks(text)
      .filter(({ info }) => info === "sql")
      .flatMap((block) => block.text.trim().split(/;\s*/))
      .filter(Boolean);
    expect(
      queries.map((query) =>
        database
          .prepare(query)
          .all()
          .map((row) => ({ ...row })),
      ),
    ).toEqual([[{ interrupted: 1 }], [{ user: "mallory@example.com", refused: 61 }]]);
  });
});

describe("the log lines in docs/MONITORING.md", () => {
  it("are those of the code, all of them", () => {
    const written = calls.flatMap(({ line }) => (line === undefined ? [] : [line]));
    expect(written.length).toBeGreaterThan(15);
    const warning = reservedNamesWarning("…", "…", "…");
    expect(new Set(quoted)).toEqual(new Set([...written, warning]));
    expect(quoted).toHaveLength(written.length + 1);
  });

  it("are written at the call, but for the configuration's warning", () => {
    expect(calls.filter(({ line }) => line === undefined).map(({ file }) => file)).toEqual(["worker/index.ts"]);
  });

  it("are what alerts look for", () => {
    const alerts = text.slice(text.indexOf("## Alerts"));
    const looked = [...alerts.matchAll(/lines? `([^`]+)`/g)].map(([, part]) => part ?? "");
    expect(looked.length).toBeGreaterThan(4);
    for (const part of looked)
      expect(
        quoted.filter((line) => line.includes(part)),
        part,
      ).not.toEqual([]);
  });
});
