/** What the record says of plain requests: which of them are in it. */

export const CATEGORIES = [
  /** Somebody was told no: by Sallyport (`decision` refused), or by the cluster (allowed, `status` 403). */
  "denied",
  /** Credentials made or asked about: service account tokens, certificates, token and access reviews. */
  "token",
  /** May run a command without a session, or prepares one: pods, ephemeral containers, the kubelet's own API. */
  "precursor",
  "secret-read",
  /** Whatever else may change something. */
  "mutation",
  /** An administrator's order to Sallyport, and the reading of a recording. */
  "admin",
  /** Not a request: how many rows were not written, and why. */
  "dropped",
] as const;
export type Category = (typeof CATEGORIES)[number];

export const DECISIONS = ["allowed", "refused"] as const;
