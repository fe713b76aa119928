import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { readMigrations, splitStatements } from "../../dev/stack/migrations.ts";
import { migrateByStatement } from "../../tools/deploy/migrate-by-statement.ts";

const MIGRATIONS = readMigrations(resolve(import.meta.dirname, "../../migrations"));
const NAMES = MIGRATIONS.map(({ name }) => name);

/** A database that counts statements, and stops answering after some. */
class Remote {
  readonly database = new DatabaseSync(":memory:");
  readonly sent: string[] = [];
  left = Number.POSITIVE_INFINITY;

  readonly run = async <Row>(sql: string): Promise<Row[]> => {
    const changes = !sql.startsWith("SELECT");
    if (changes && this.left === 0) throw new Error("the network is gone");
    if (changes) this.left -= 1;
    this.sent.push(sql);
    return this.database.prepare(sql).all() as Row[];
  };

  get schema(): unknown {
    const rows = this.database.prepare("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").all();
    return rows.filter((row) => !/d1_migrations|sqlite_sequence/.test(String(row["name"])));
  }

  get applied(): string[] {
    return this.database
      .prepare("SELECT name FROM d1_migrations ORDER BY id")
      .all()
      .map((row) => String(row["name"]));
  }
}

function applied(): Remote {
  const remote = new Remote();
  for (const { statements } of MIGRATIONS) for (const statement of statements) remote.database.exec(statement);
  return remote;
}

describe("migrations by statement", () => {
  it("make the same schema as whole files, and record each file", async () => {
    const remote = new Remote();
    await migrateByStatement(MIGRATIONS, NAMES, remote.run);
    expect(remote.schema).toEqual(applied().schema);
    expect(remote.applied).toEqual(NAMES);
    // wrangler's command line would take such a text for an option.
    expect(remote.sent.filter((sql) => sql.startsWith("--"))).toEqual([]);
  });

  it("go on after any statement at which an attempt was interrupted", async () => {
    const statements = MIGRATIONS.reduce((sum, migration) => sum + migration.statements.length, 0);
    for (let sent = 1; sent < statements + NAMES.length; sent += 1) {
      const remote = new Remote();
      remote.left = sent;
      await expect(migrateByStatement(MIGRATIONS, NAMES, remote.run)).rejects.toThrow("the network is gone");
      remote.left = Number.POSITIVE_INFINITY;
      const done = remote.applied;
      await migrateByStatement(
        MIGRATIONS,
        NAMES.filter((name) => !done.includes(name)),
        remote.run,
      );
      expect(remote.schema, `after ${sent} statements`).toEqual(applied().schema);
      expect(remote.applied).toEqual(NAMES);
    }
  });

  it("refuse a database whose schema somebody changed, and change nothing", async () => {
    const remote = applied();
    remote.database.exec("DROP TRIGGER events_are_never_updated");
    const next = { name: "9999_next.sql", statements: splitStatements("CREATE TABLE more (id text)") };
    await expect(migrateByStatement([...MIGRATIONS, next], [next.name], remote.run)).rejects.toThrow(
      /is not one that 9999_next\.sql passes through/,
    );
    expect(remote.applied).toEqual([]);
  });

  it("refuse a migration in which the schema does not say how far it came", async () => {
    const next = { name: "9999_next.sql", statements: splitStatements("INSERT INTO events (at) VALUES (1)") };
    const unrunnable = { ...next, statements: ["DELETE FROM seals WHERE first_row = -1"] };
    await expect(migrateByStatement([...MIGRATIONS, unrunnable], [next.name], applied().run)).rejects.toThrow(
      /cannot be applied one by one/,
    );
  });
});
