/** What the user's object needs of the Worker's bindings. */
export interface SessionBindings {
  readonly AUDIT_DB: D1Database;
  /** Where recordings end up; see durable/recording. */
  readonly RECORDINGS: R2Bucket;
}

/**
 * A cluster's binding: a Workers VPC service in production, an external service locally.
 *
 * @param binding as the configuration names it, never as a request does
 * @throws where the deployment has none of that name
 */
export function clusterBinding(env: object, binding: string): Fetcher {
  const found: unknown = Reflect.get(env, binding);
  if (typeof found !== "object" || found === null || !("fetch" in found)) {
    throw new Error(`the deployment has no service binding named ${binding}`);
  }
  return found as Fetcher;
}
