/**
 * Checks that migrations are compatible with earlier Workers, since they are applied before the
 * Worker is replaced. On a real SQLite, version by version: what an earlier version reads still
 * exists, and what it writes is accepted.
 */
import { DatabaseSync } from "node:sqlite";
import type { Migration } from "../../dev/stack/migrations.ts";

interface Column {
  readonly name: string;
  readonly type: string;
  /** A generated column, or one that SQLite numbers. Writers leave it out. */
  readonly isGenerated: boolean;
}
type Schema = ReadonlyMap<string, { readonly isView: boolean; readonly columns: readonly Column[] }>;

/** @returns a message for each incompatibility with a Worker of an earlier version */
export function findIncompatibilities(migrations: readonly Migration[]): string[] {
  const newest = apply(migrations);
  const found: string[] = [];
  for (let version = 1; version < migrations.length; version++) {
    const before = readSchema(apply(migrations.slice(0, version)));
    const after = readSchema(newest);
    for (const problem of [...findMissing(before, after), ...findRefused(before, newest)]) {
      found.push(`after ${migrations[version - 1]?.name ?? ""}: ${problem}`);
    }
  }
  return [...new Set(found)];
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
        return { name: row.name, type, isGenerated: row.hidden > 1 || (row.pk > 0 && type === "integer") };
      });
      return [name, { isView: type === "view", columns }];
    }),
  );
}

function findMissing(before: Schema, after: Schema): string[] {
  return [...before].flatMap(([name, { columns }]) => {
    const now = after.get(name);
    if (!now) return [`${name} is missing`];
    return columns.flatMap((column) => {
      const same = now.columns.find((each) => each.name === column.name);
      if (!same) return [`${name}.${column.name} is missing`];
      // A view has no types of its own, where a table has become one.
      return now.isView || same.type === column.type
        ? []
        : [`${name}.${column.name} was ${column.type} and is ${same.type}`];
    });
  });
}

/** Tables that accept a row only if it agrees with others: test/workerd/seal.test.ts writes such rows. */
const DEPENDENT = /^seals$|^seal_/;

/** Writes rows as the earlier version does. Two of them, because a new unique index accepts the first. */
function findRefused(before: Schema, database: DatabaseSync): string[] {
  return [...before].flatMap(([name, { isView, columns }]) => {
    if (isView || DEPENDENT.test(name)) return [];
    const written = columns.filter(({ isGenerated }) => !isGenerated);
    const names = written.map((column) => `"${column.name}"`).join(", ");
    try {
      database.exec("SAVEPOINT trial");
      const statement = database.prepare(
        `INSERT INTO "${name}" (${names}) VALUES (${written.map(() => "?").join(", ")})`,
      );
      const count = () => (database.prepare(`SELECT count(*) AS n FROM "${name}"`).get() as { n: number }).n;
      const had = count();
      for (const round of [1, 2]) statement.run(...written.map((column) => sample(column, round)));
      return count() === had + 2 ? [] : [`${name} ignores inserted rows`];
    } catch (error) {
      return [`${name} refuses inserted rows: ${error instanceof Error ? error.message : String(error)}`];
    } finally {
      database.exec("ROLLBACK TO trial; RELEASE trial");
    }
  });
}

/** A value for a column: different for columns that identify a row, the same for all others. */
function sample({ name, type }: Column, round: number): string | number {
  if (type === "integer") return name === "seq" ? round : 1;
  if (name === "type") return "start";
  if (name === "data") return JSON.stringify({ user: "alice@acme.test" });
  return /^(id|.*_id)$/.test(name) ? `${name}-${round}` : name;
}
