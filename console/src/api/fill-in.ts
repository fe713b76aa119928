/** Addresses of calls. Pure. */

/**
 * Fills in a path.
 *
 * @param template with `{name}` for each part
 * @param params by name, not percent-encoded
 * @param query parameters, of which those that are undefined or empty are left out; a list repeats one
 * @throws RangeError for a part that is a dot segment, which would name another path (RFC 3986, 5.2.4)
 */
export function fillIn(
  template: string,
  params: Readonly<Record<string, string>>,
  query: Readonly<Record<string, unknown>> = {},
): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodePart(params[name] ?? ""));
  const search = new URLSearchParams();
  for (const [name, given] of Object.entries(query)) {
    for (const value of Array.isArray(given) ? given : [given]) {
      if (value !== undefined && value !== "") search.append(name, String(value));
    }
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

function encodePart(part: string): string {
  if (part === "." || part === "..") throw new RangeError("a part of a path cannot be a dot segment");
  return encodeURIComponent(part);
}
