/**
 * Tells whether a request may create the object that it names.
 *
 * A PUT creates a missing object of the kinds whose strategy allows it (`AllowCreateOnUpdate`: Roles, Leases,
 * Services …), and a server-side apply one of every kind (`forceAllowCreate` in patch.go of the API server).
 * Any other PATCH needs an object to change.
 *
 * @param method as sent
 * @param contentType the header, or null
 */
export function mayCreate(method: string, contentType: string | null): boolean {
  // The API server compares the type exactly. Wider on purpose: in any case, and as one of several values.
  const isApply = /\bapplication\/apply-patch\b/i.test(contentType ?? "");
  return method === "POST" || method === "PUT" || (method === "PATCH" && isApply);
}
