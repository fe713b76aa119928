/** Who every variant's requests run as: the local stack's alice, as its rules have her. */
export const AS_USER = { user: "alice@example.com", group: "developers" } as const;

/** The binding decides where a request goes; this only becomes the Host header. */
export const UPSTREAM_ORIGIN = "http://localhost";
