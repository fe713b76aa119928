/**
 * Applies `migrations/*.sql` to the local D1 as `wrangler d1 migrations apply` does, with the same table of
 * applied files.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Miniflare } from "miniflare";
import { unstable_splitSqlQuery } from "wrangler";
import { errorCode, messageOf } from "../../common/errors.ts";
import { StackError } from "./errors.ts";

type D1 = Awaited<ReturnType<Miniflare["getD1Database"]>>;

const TABLE = "d1_migrations";

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

/** Reads a folder of migrations in order. @returns an empty list if there is no such folder */
export function readMigrations(dir: string): Migration[] {
  return listSqlFiles(dir).map((name) => ({
    name,
    statements: splitStatements(readFileSync(join(dir, name), "utf8")),
  }));
}

/** Splits a file into statements. Semicolons in triggers, strings and comments do not end one. */
export function splitStatements(sql: string): string[] {
  return unstable_splitSqlQuery(sql).filter((statement) => !isCommentOnly(statement));
}

/**
 * Applies the pending migrations, each file in one transaction.
 *
 * @returns the names of the files that it applied
 */
export async function applyMigrations(database: D1, migrations: readonly Migration[]): Promise<string[]> {
  await database
    .prepare(
      `CREATE TABLE IF NOT EXISTS ${TABLE} (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`,
    )
    .run();
  const { results } = await database.prepare(`SELECT name FROM ${TABLE}`).all<{ name: string }>();
  const known = new Set(results.map((row) => row.name));
  const applied: string[] = [];
  for (const { name, statements } of migrations) {
    if (known.has(name)) continue;
    const record = database.prepare(`INSERT INTO ${TABLE} (name) VALUES (?)`).bind(name);
    try {
      await database.batch([...statements.map((statement) => database.prepare(statement)), record]);
    } catch (error) {
      throw new StackError(`migration ${name} failed: ${messageOf(error)}`);
    }
    applied.push(name);
  }
  return applied;
}

function listSqlFiles(dir: string): string[] {
  try {
    const files = readdirSync(dir).filter((name) => name.endsWith(".sql"));
    return files.sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function isCommentOnly(statement: string): boolean {
  return statement.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim() === "";
}
