/** What the user's object needs of the Worker's bindings. */
export interface SessionBindings {
  readonly AUDIT_DB: D1Database;
  /** Where recordings end up; see durable/recording. */
  readonly RECORDINGS: R2Bucket;
  /** The cluster: a Workers VPC service in production, an external service locally. */
  readonly KUBE_API: Fetcher;
}
