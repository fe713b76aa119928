/** The user of every variant's requests: the local stack's alice, with the groups that its rules give her. */
export const AS_USER = { user: "alice@example.com", group: "developers" } as const;

/** Becomes the Host header only, since the binding decides where a request goes. */
export const UPSTREAM_ORIGIN = "http://localhost";
