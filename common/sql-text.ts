/** SQL with named parameters as text that people run by hand. Never for a program: a program binds its values. */

/** A parameter in the SQL. No other colon of a question's SQL is followed by a letter. */
export const SQL_PARAMETER = /:([a-z]+)\b/g;

/** What a person cannot see. Ends of lines and tabs, which JSON has, are seen and harm no terminal. */
const INVISIBLE = /(?![\n\t])[\p{C}\u2028\u2029]/gu;

/**
 * The SQL with literals in the place of its parameters.
 *
 * @param values by the names of the parameters; one that is missing becomes an empty text
 */
export function inlineParameters(sql: string, values: Readonly<Record<string, string | number>>): string {
  const text = sql.trim().replace(SQL_PARAMETER, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? (values[name] ?? "") : "";
    return typeof value === "number" ? String(value) : literalOf(value);
  });
  return `${text};`;
}

/**
 * A text as SQL has it. What is invisible is written as `char(27)`: the SQL that is read is then the SQL that is
 * copied. Raw, an ESC from a link could end a terminal's bracketed paste, and run what follows it.
 */
function literalOf(value: string): string {
  const literal = `'${value.replaceAll("'", "''")}'`;
  const visible = literal.replace(INVISIBLE, (character) => `'||char(${character.codePointAt(0)})||'`);
  return visible === literal ? literal : `(${visible})`;
}
