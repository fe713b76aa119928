/** The categories of API requests that the audit log has. */

export const CATEGORIES = [
  /** Refused by Sallyport (`decision` refused), or by the cluster (`decision` allowed, `status` 403). */
  "denied",
  /** Creates or reviews credentials: service account tokens, certificates, token and access reviews. */
  "token",
  /**
   * May run a command without a session, or prepares one: pods and their templates, proxies, virtual
   * machines, roles, webhooks.
   */
  "precursor",
  "secret-read",
  /** Any other request that may change something. */
  "mutation",
  /** An administrator's command to Sallyport, or the download of a recording. */
  "admin",
  /** No request: how many rows were not written, and why. */
  "dropped",
] as const;
export type Category = (typeof CATEGORIES)[number];

export const DECISIONS = ["allowed", "refused"] as const;
