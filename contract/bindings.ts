/** The bindings that both Workers have. */
export interface SharedBindings {
  /** The audit log. */
  readonly AUDIT_DB: D1Database;
  /** The bucket of finished recordings, see `recordingKey`. */
  readonly RECORDINGS: R2Bucket;
}

/**
 * Finds a cluster's binding: a Workers VPC service in production, an external service locally.
 *
 * @param binding its name, which comes from the configuration and never from a request
 * @throws where the deployment has no binding of that name
 */
export function clusterBinding(env: object, binding: string): Fetcher {
  const found: unknown = Reflect.get(env, binding);
  if (typeof found !== "object" || found === null || !("fetch" in found)) {
    throw new Error(`the deployment has no service binding named ${binding}`);
  }
  return found as Fetcher;
}
