/**
 * Makes two spellings of the same schema equal: versions of SQLite may quote a renamed table differently.
 * Pure.
 */
export function normalizeSql(sql: string): string {
  return sql
    .replaceAll(/\s+/g, " ")
    .replaceAll(/["`](\w+)["`]/g, "$1")
    .replace(/;\s*$/, "")
    .trim();
}
