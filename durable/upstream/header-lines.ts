import type { HeaderLine } from "../../kubernetes/upstream-headers.ts";

const DIFFERENT = "the plan and the request differ in whom they impersonate";

/**
 * Writes a line for each value. `Headers` joins repeated ones when it is read, and the API server takes the
 * groups `a, b` for one group of that name.
 *
 * @throws where both do not say the same: a request must never run as somebody else
 */
export function headerLines(headers: Headers, impersonation: readonly HeaderLine[]): HeaderLine[] {
  const identity = new Headers();
  for (const [name, value] of impersonation) identity.append(name, value);
  const others: HeaderLine[] = [];
  for (const [name, value] of headers) {
    if (!name.startsWith("impersonate-")) others.push([name, value]);
    else if (identity.get(name) !== value) throw new Error(DIFFERENT);
  }
  // The other way round, and no request without a user: it would run as the sidecar's own account.
  for (const name of new Set(["impersonate-user", ...identity.keys()])) {
    if (!headers.has(name)) throw new Error(DIFFERENT);
  }
  return [...others, ...impersonation];
}
