/** SQL with named parameters as text that people run by hand. Never for a program: a program binds its values. */

/** A parameter in the SQL. No other colon of a question's SQL is followed by a letter. */
export const SQL_PARAMETER = /:([a-z]+)\b/g;

/**
 * The SQL with literals in the place of its parameters.
 *
 * @param values by the names of the parameters; one that is missing becomes an empty text
 */
export function inlineParameters(sql: string, values: Readonly<Record<string, string | number>>): string {
  const text = sql.trim().replace(SQL_PARAMETER, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? (values[name] ?? "") : "";
    return typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
  });
  return `${text};`;
}
