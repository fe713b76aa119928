/**
 * Whether the Worker that runs can live with migrations that are applied before it is replaced: what it knows is still there,
 * and what it writes is still taken. Tried on a real SQLite, version by version.
 */
import { DatabaseSync } from "node:sqlite";
import type { Migration } from "../../dev/stack/migrations.ts";

interface Column {
  readonly name: string;
  readonly type: string;
  /** Nothing may be inserted into it, or it is SQLite that numbers the rows. */
  readonly generated: boolean;
}
type Schema = ReadonlyMap<string, { readonly isView: boolean; readonly columns: readonly Column[] }>;

/** @returns a line for each thing that a Worker of an earlier version would stumble over */
export function stumblingBlocks(migrations: readonly Migration[]): string[] {
  const newest = apply(migrations);
  const blocks: string[] = [];
  for (let version = 1; version < migrations.length; version++) {
    const before = readSchema(apply(migrations.slice(0, version)));
    const after = readSchema(newest);
    for (const fault of [...missing(before, after), ...refused(before, newest)]) {
      blocks.push(`after ${migrations[version - 1]?.name ?? ""}: ${fault}`);
    }
  }
  return [...new Set(blocks)];
}

function apply(migrations: readonly Migration[]): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  for (const { statements } of migrations) for (const statement of statements) database.exec(statement);
  return database;
}

function readSchema(database: DatabaseSync): Schema {
  const objects = database
    .prepare("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
    .all() as { name: string; type: string }[];
  return new Map(
    objects.map(({ name, type }) => {
      const rows = database.prepare(`PRAGMA table_xinfo("${name}")`).all() as {
        name: string;
        type: string;
        hidden: number;
        pk: number;
      }[];
      const columns = rows.map((row) => {
        const type = row.type.toLowerCase();
        return { name: row.name, type, generated: row.hidden > 1 || (row.pk > 0 && type === "integer") };
      });
      return [name, { isView: type === "view", columns }];
    }),
  );
}

function missing(before: Schema, after: Schema): string[] {
  return [...before].flatMap(([name, { columns }]) => {
    const now = after.get(name);
    if (!now) return [`${name} is gone`];
    return columns.flatMap((column) => {
      const same = now.columns.find((each) => each.name === column.name);
      if (!same) return [`${name}.${column.name} is gone`];
      return same.type === column.type ? [] : [`${name}.${column.name} was ${column.type} and is ${same.type}`];
    });
  });
}

/** A row as the earlier version writes it: two of them, for a new unique index takes the first of any. */
function refused(before: Schema, database: DatabaseSync): string[] {
  return [...before].flatMap(([name, { isView, columns }]) => {
    if (isView) return [];
    const written = columns.filter(({ generated }) => !generated);
    const names = written.map((column) => `"${column.name}"`).join(", ");
    try {
      database.exec("SAVEPOINT trial");
      const statement = database.prepare(
        `INSERT INTO "${name}" (${names}) VALUES (${written.map(() => "?").join(", ")})`,
      );
      const count = () => (database.prepare(`SELECT count(*) AS n FROM "${name}"`).get() as { n: number }).n;
      const had = count();
      for (const round of [1, 2]) statement.run(...written.map((column) => sample(column, round)));
      return count() === had + 2 ? [] : [`${name} drops what is written to it`];
    } catch (error) {
      return [`${name} refuses what is written to it: ${error instanceof Error ? error.message : String(error)}`];
    } finally {
      database.exec("ROLLBACK TO trial; RELEASE trial");
    }
  });
}

/** Different where rows differ in life, the same where they often do not. */
function sample({ name, type }: Column, round: number): string | number {
  if (type === "integer") return name === "seq" ? round : 1;
  if (name === "type") return "start";
  if (name === "data") return JSON.stringify({ user: "alice@acme.test" });
  return /^(id|.*_id)$/.test(name) ? `${name}-${round}` : name;
}
