/** Text that Terraform must not evaluate as a template. Pure. */

/**
 * Escapes `${` and `%{` in every string of a value, keys included. A group may have the name
 * `${file("/etc/passwd")}`, and Terraform would read that file.
 *
 * https://developer.hashicorp.com/terraform/language/syntax/json#string-expressions
 */
export function literal<T>(value: T): T {
  return escaped(value) as T;
}

function escaped(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll(/[$%](?=\{)/g, (sign) => sign + sign);
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [escaped(key), escaped(inner)]));
}
