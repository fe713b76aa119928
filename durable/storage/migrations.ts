import { err, ok, type Result } from "../../common/result.ts";

/** One step of the schema. Never change one that was released: add the next. */
export interface Migration {
  /** 1, 2, 3 … without a gap. */
  readonly version: number;
  /** SQL, one or more statements. Existing rows must survive. */
  readonly statements: string;
}

/** A newer build has used this database. An older one cannot know what its tables mean. */
export interface NewerSchema {
  readonly code: "newer_schema";
  readonly foundVersion: number;
  readonly knownVersion: number;
}

export type SqliteStorage = Pick<DurableObjectStorage, "sql" | "transactionSync">;

/**
 * Brings a database to the newest version that this build knows. Each step happens whole or not at all.
 *
 * @param migrations all that there ever were, oldest first
 * @param now ms since the epoch
 * @returns the version that the database has afterwards. A newer database stays untouched.
 * @throws what SQLite throws; the database then has the version before the failed step
 */
export function applyMigrations(
  storage: SqliteStorage,
  migrations: readonly Migration[],
  now: number,
): Result<number, NewerSchema> {
  const { sql } = storage;
  sql.exec("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)");
  const foundVersion = schemaVersion(sql);
  const knownVersion = migrations.length;
  if (foundVersion > knownVersion) return err({ code: "newer_schema", foundVersion, knownVersion });
  for (const { version, statements } of migrations.slice(foundVersion)) {
    storage.transactionSync(() => {
      sql.exec(statements);
      sql.exec("INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)", version, now);
    });
  }
  return ok(knownVersion);
}

/** @returns 0 for a new database */
function schemaVersion(sql: SqlStorage): number {
  return sql.exec<{ version: number }>("SELECT coalesce(max(version), 0) AS version FROM schema_migrations").one()
    .version;
}
