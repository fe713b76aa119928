import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "drizzle-kit/api";
import { expect, it } from "vitest";
import * as schema from "../../audit/schema.ts";
import { readMigrations, splitStatements } from "../../dev/stack/migrations.ts";
import { compareMigrations } from "../../tools/deploy/migrations.ts";
import { findIncompatibilities } from "../support/forward-only.ts";

type DrizzleSnapshot = Awaited<ReturnType<typeof generateSQLiteDrizzleJson>>;

const migrations = readMigrations(resolve(import.meta.dirname, "../../migrations"));
const withNext = (sql: string) => [...migrations, { name: "9999_next.sql", statements: splitStatements(sql) }];

it("every migration keeps what an earlier Worker reads, and accepts what it writes", () => {
  expect(migrations.length).toBeGreaterThan(1);
  expect(findIncompatibilities(migrations)).toEqual([]);
});

it("the newest snapshot is the schema, so that the next generated migration has nothing of the past in it", async () => {
  const folder = resolve(import.meta.dirname, "../../migrations/meta");
  const newest = readdirSync(folder).findLast((name) => name.endsWith("_snapshot.json")) ?? "";
  const snapshot = JSON.parse(readFileSync(resolve(folder, newest), "utf8")) as DrizzleSnapshot;
  expect(await generateSQLiteMigration(snapshot, await generateSQLiteDrizzleJson(schema))).toEqual([]);
});

it.each([
  ["ALTER TABLE events ADD COLUMN region text"],
  ["ALTER TABLE request_rows ADD COLUMN retries integer NOT NULL DEFAULT 0"],
  ["CREATE TABLE exports (id text PRIMARY KEY NOT NULL)"],
  ["CREATE INDEX requests_by_ray ON request_rows (ray)"],
])("accepts an expansion of the schema: %s", (sql) => {
  expect(findIncompatibilities(withNext(sql))).toEqual([]);
});

it.each([
  ["DROP VIEW sessions", "sessions is missing"],
  ["DROP VIEW sessions; CREATE VIEW sessions AS SELECT session_id AS id FROM events", "sessions.state is missing"],
  ["ALTER TABLE request_rows RENAME COLUMN ray TO ray_id", "request_rows.ray is missing"],
  ["ALTER TABLE events DROP COLUMN prev_hash", "events.prev_hash is missing"],
  ["ALTER TABLE request_rows RENAME TO api_requests", "request_rows is missing"],
  ["DROP VIEW requests", "requests is missing"],
  ["DROP VIEW requests; CREATE TABLE requests (id integer)", "requests.id was text and is integer"],
  ["DROP VIEW requests; CREATE TABLE requests (id text, must text NOT NULL)", "requests refuses"],
  ["CREATE UNIQUE INDEX one_a_day ON request_rows (at)", "request_rows refuses inserted rows: UNIQUE"],
  ["DROP TRIGGER requests_of_an_earlier_edge", "requests refuses inserted rows: cannot modify"],
  [
    "CREATE TRIGGER closed BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'closed'); END",
    "events refuses inserted rows: closed",
  ],
  ["CREATE TRIGGER lost BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END", "events ignores inserted rows"],
])("finds what would break the running Worker: %s", (sql, problem) => {
  expect(findIncompatibilities(withNext(sql)).join("\n")).toContain(problem);
});

it("distinguishes a checkout older than the database from one with pending migrations", () => {
  expect(compareMigrations(["0.sql", "1.sql"], ["0.sql"])).toEqual({ pending: ["1.sql"], unknown: [] });
  expect(compareMigrations(["0.sql"], ["0.sql", "1.sql"])).toEqual({ pending: [], unknown: ["1.sql"] });
  expect(compareMigrations(["0.sql"], [])).toEqual({ pending: ["0.sql"], unknown: [] });
});

// `wrangler d1 migrations apply --remote` splits a migration on the server, less carefully than locally.
it("every trigger can be split on the server: one line, LF, upper case, comments without quotes", () => {
  const folder = resolve(import.meta.dirname, "../../migrations");
  const text = migrations.map(({ name }) => readFileSync(resolve(folder, name), "utf8")).join("\n");
  expect(text).not.toContain("\r");
  const lines = text.split("\n");
  const triggers = lines.filter((line) => /\btrigger\b/i.test(line) && !line.startsWith("--"));
  expect(triggers.length).toBeGreaterThanOrEqual(20);
  for (const line of triggers.filter((each) => !/^DROP TRIGGER \w+;$/.test(each)))
    expect(line).toMatch(/^CREATE TRIGGER \w+ (BEFORE|INSTEAD OF) [A-Z]+ ON \w+ .*\bBEGIN\b .*; END;$/);
  for (const comment of lines.filter((line) => line.includes("--"))) {
    expect(comment.slice(comment.indexOf("--"))).not.toMatch(/[;'"`]/);
  }
});
