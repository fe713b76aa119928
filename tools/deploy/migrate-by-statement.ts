/**
 * Applies D1 migrations one statement at a time. `wrangler d1 migrations apply` sends a whole file, which D1
 * splits into statements itself. Where it splits one wrongly, this is the way around.
 */
import { DatabaseSync } from "node:sqlite";
import type { Migration } from "../../dev/stack/migrations.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { normalizeSql } from "./normalize-sql.ts";

/** Runs one statement. @returns its rows */
export type RunStatement = <Row>(sql: string) => Promise<Row[]>;

/** What a schema consists of, without SQLite's, D1's and wrangler's own tables. */
const SCHEMA_SQL =
  "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> 'd1_migrations' ORDER BY type, name";
/** As wrangler makes it. */
const TABLE_SQL =
  "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/**
 * Applies what is pending. An attempt that was interrupted within a migration goes on where it stopped: the
 * schema says where that is.
 *
 * @param migrations of this checkout, in order
 * @param pending names of those that D1 has not recorded
 * @throws OperatorError where the database's schema is none that the migrations pass through
 */
export async function migrateByStatement(
  migrations: readonly Migration[],
  pending: readonly string[],
  run: RunStatement,
): Promise<void> {
  await run(TABLE_SQL);
  for (const name of pending) {
    const at = migrations.findIndex((migration) => migration.name === name);
    const { statements } = migrations[at] ?? { statements: [] };
    const stages = stagesOf(migrations.slice(0, at), statements, name);
    const current = describeSchema(await run<SchemaRow>(SCHEMA_SQL));
    const done = stages.indexOf(current);
    if (done === -1) {
      throw new OperatorError(
        `the schema of the database is not one that ${name} passes through: somebody has changed it; see the doctor's d1-append-only`,
      );
    }
    for (const statement of statements.slice(done)) await run(withoutComments(statement));
    await run(`INSERT OR IGNORE INTO d1_migrations (name) VALUES ('${name.replaceAll("'", "''")}')`);
  }
}

/** The schemas before a migration's first statement and after each of them. */
function stagesOf(before: readonly Migration[], statements: readonly string[], name: string): string[] {
  const database = new DatabaseSync(":memory:");
  try {
    for (const migration of before) for (const statement of migration.statements) database.exec(statement);
    const schema = () => describeSchema(database.prepare(SCHEMA_SQL).all() as unknown as SchemaRow[]);
    const stages = [schema()];
    for (const statement of statements) {
      database.exec(statement);
      stages.push(schema());
    }
    if (new Set(stages).size !== stages.length) {
      throw new OperatorError(`${name} has statements that do not change the schema, and cannot be applied one by one`);
    }
    return stages;
  } finally {
    database.close();
  }
}

function describeSchema(rows: readonly SchemaRow[]): string {
  return rows.map(({ type, name, sql }) => `${type} ${name}: ${normalizeSql(sql)}`).join("\n");
}

/** Comments before a statement, which wrangler's command line would take for an option. */
function withoutComments(statement: string): string {
  return statement.replace(/^(\s*--[^\n]*\n)+/, "").trim();
}
