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

/** What became of API requests. */
export const REQUEST_OUTCOMES = [
  /** The cluster, or for commands Sallyport, answered with a status below 400. */
  "succeeded",
  /** With 400 or above, but for 403. */
  "failed",
  /** With 403: of requests that Sallyport allowed, the cluster's RBAC refused them. */
  "forbidden",
  /** Sallyport refused it. */
  "refused",
  /** No answer is known. */
  "unknown",
] as const;
export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number];
