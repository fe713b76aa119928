import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { readMigrations, splitStatements } from "../../dev/stack/migrations.ts";
import { compareMigrations } from "../../tools/deploy/migrations.ts";
import { stumblingBlocks } from "../support/forward-only.ts";

const migrations = readMigrations(resolve(import.meta.dirname, "../../migrations"));
const then = (sql: string) => [...migrations, { name: "9999_next.sql", statements: splitStatements(sql) }];

it("every migration leaves what an earlier Worker reads, and takes what it writes", () => {
  expect(migrations.length).toBeGreaterThan(1);
  expect(stumblingBlocks(migrations)).toEqual([]);
});

it.each([
  ["ALTER TABLE events ADD COLUMN region text"],
  ["ALTER TABLE requests ADD COLUMN retries integer NOT NULL DEFAULT 0"],
  ["CREATE TABLE exports (id text PRIMARY KEY NOT NULL)"],
  ["CREATE INDEX requests_by_ray ON requests (ray)"],
])("what expands the schema is fine: %s", (sql) => {
  expect(stumblingBlocks(then(sql))).toEqual([]);
});

it.each([
  ["DROP VIEW sessions", "sessions is gone"],
  ["DROP VIEW sessions; CREATE VIEW sessions AS SELECT session_id AS id FROM events", "sessions.state is gone"],
  ["ALTER TABLE requests RENAME COLUMN ray TO ray_id", "requests.ray is gone"],
  ["ALTER TABLE requests DROP COLUMN country", "requests.country is gone"],
  ["ALTER TABLE requests RENAME TO plain_requests", "requests is gone"],
  ["DROP TABLE requests; CREATE TABLE requests (id integer)", "requests.id was text and is integer"],
  ["DROP TABLE requests; CREATE TABLE requests (id text, must text NOT NULL)", "requests refuses"],
  ["CREATE UNIQUE INDEX one_a_day ON requests (at)", "requests refuses what is written to it: UNIQUE"],
  [
    "CREATE TRIGGER closed BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'closed'); END",
    "events refuses what is written to it: closed",
  ],
  ["CREATE TRIGGER lost BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END", "events drops what is written to it"],
])("what the Worker that still runs would stumble over is found: %s", (sql, words) => {
  expect(stumblingBlocks(then(sql)).join("\n")).toContain(words);
});

it("a checkout older than the database is told apart from one that has something to apply", () => {
  expect(compareMigrations(["0.sql", "1.sql"], ["0.sql"])).toEqual({ pending: ["1.sql"], unknown: [] });
  expect(compareMigrations(["0.sql"], ["0.sql", "1.sql"])).toEqual({ pending: [], unknown: ["1.sql"] });
  expect(compareMigrations(["0.sql"], [])).toEqual({ pending: ["0.sql"], unknown: [] });
});

// D1 splits a migration into statements on the server (`wrangler d1 migrations apply --remote`), and less carefully than locally.
it("every trigger survives the splitting by the D1 server: one line, LF, upper case, plain comments", () => {
  const folder = resolve(import.meta.dirname, "../../migrations");
  const text = migrations.map(({ name }) => readFileSync(resolve(folder, name), "utf8")).join("\n");
  expect(text).not.toContain("\r");
  const lines = text.split("\n");
  const triggers = lines.filter((line) => /\btrigger\b/i.test(line) && !line.startsWith("--"));
  expect(triggers.length).toBeGreaterThanOrEqual(6);
  for (const line of triggers) expect(line).toMatch(/^CREATE TRIGGER \w+ BEFORE [A-Z]+ ON \w+ .*\bBEGIN\b .*; END;$/);
  for (const comment of lines.filter((line) => line.includes("--"))) {
    expect(comment.slice(comment.indexOf("--"))).not.toMatch(/[;'"`]/);
  }
});
