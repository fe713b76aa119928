import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { readMigrations, splitStatements } from "../../dev/stack/migrations.ts";

const TRIGGER = `CREATE TRIGGER never_updated BEFORE UPDATE ON events BEGIN
  SELECT CASE WHEN NEW.id = 1 THEN 2 END;
  SELECT RAISE(ABORT, 'append; only');
END`;

describe("a migration file", () => {
  it("is split between statements, not within triggers, strings or comments", () => {
    const sql = [
      "CREATE TABLE `events` (\n id integer -- the row; no more\n);",
      "--> statement-breakpoint",
      "INSERT INTO events VALUES (';');--> statement-breakpoint",
      `${TRIGGER};`,
      "-- the end",
    ].join("\n");
    const statements = splitStatements(sql);
    expect(statements).toHaveLength(3);
    expect(statements[0]).toMatch(/^CREATE TABLE/);
    expect(statements[1]).toMatch(/VALUES \(';'\)$/);
    expect(statements[2]).toContain(TRIGGER);
  });

  it("of comments only has no statement", () => {
    expect(splitStatements("-- nothing yet\n/* nor here; */\n")).toEqual([]);
  });

  it("of this repository makes the audit log append-only", () => {
    const migrations = readMigrations(resolve(import.meta.dirname, "../../migrations"));
    const database = new DatabaseSync(":memory:");
    for (const { statements } of migrations) for (const statement of statements) database.exec(statement);
    const triggers = database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all();
    expect(triggers.length).toBeGreaterThan(0);
    expect(migrations[0]?.name).toMatch(/^0000_/);
  });

  it("is not required: a missing folder has none", () => {
    expect(readMigrations("/nonexistent/migrations")).toEqual([]);
  });
});
