/**
 * Which D1 migrations are still to be applied, and whether this checkout is older than the database. Pure.
 */

export interface MigrationState {
  /** In this checkout, but not applied yet, in order. */
  readonly pending: readonly string[];
  /** Applied, but not in this checkout, so a newer one has been deployed. */
  readonly unknown: readonly string[];
}

/**
 * @param known file names of this checkout, in order
 * @param applied names in D1's table `d1_migrations`
 */
export function compareMigrations(known: readonly string[], applied: readonly string[]): MigrationState {
  return {
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

/** A new database does not have the table yet. */
export const APPLIED_TABLE_SQL = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'd1_migrations'";
export const APPLIED_SQL = "SELECT name FROM d1_migrations ORDER BY id";

type Ask = <Row>(sql: string) => Promise<Row[]>;

/** Reads the names of the applied migrations. */
export async function appliedMigrations(ask: Ask): Promise<string[]> {
  const tables = await ask<{ name: string }>(APPLIED_TABLE_SQL);
  if (tables.length === 0) return [];
  return (await ask<{ name: string }>(APPLIED_SQL)).map(({ name }) => name);
}
