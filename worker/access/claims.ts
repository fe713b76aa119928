/**
 * Reads a claim by a dotted path, such as `custom.groups`. Own properties only: a claim named `__proto__` or
 * `constructor` is not found.
 */
export function readClaim(claims: unknown, path: string): unknown {
  let value = claims;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
