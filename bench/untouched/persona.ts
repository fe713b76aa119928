/** The user of every variant's requests: the local stack's alice, with the groups that its rules give her. */
export const AS_USER = { user: "alice@example.com", group: "developers" } as const;

/** Becomes the Host header only, since the binding decides where a request goes. */
export const UPSTREAM_ORIGIN = "http://localhost";

/** The headers of a request for the cluster. */
export function headersAsUser(client: Headers): Headers {
  const headers = new Headers(client);
  headers.delete("Cf-Access-Jwt-Assertion");
  headers.set("Impersonate-User", AS_USER.user);
  headers.set("Impersonate-Group", AS_USER.group);
  return headers;
}
