import type { DirectoryObject } from "./directory-binding.ts";
import type { UserObject } from "./user-object-binding.ts";

/** The bindings that both Workers have. */
export interface SharedBindings {
  /** Users' objects. They call each other, too. */
  readonly USER_SESSIONS: DurableObjectNamespace<UserObject>;
  /** The namespace of the one directory, see directory.ts. */
  readonly DIRECTORY: DurableObjectNamespace<DirectoryObject>;
  /** The audit log. */
  readonly AUDIT_DB: D1Database;
  /** The bucket of finished recordings, see `recordingKey`. */
  readonly RECORDINGS: R2Bucket;
}

/**
 * Finds a cluster's binding: a Workers VPC service in production, an external service locally.
 *
 * @param binding its name, which comes from the configuration and never from a request
 */
export function findClusterBinding(env: object, binding: string): Fetcher | undefined {
  const found: unknown = Reflect.get(env, binding);
  return typeof found === "object" && found !== null && "fetch" in found ? (found as Fetcher) : undefined;
}

/**
 * A binding through which a TCP connection to a cluster can be opened: plaintext, to the sidecar on loopback.
 */
export type TcpBinding = Pick<Fetcher, "connect">;

/**
 * Finds the binding of a cluster's TCP connections: a Workers VPC service of type `tcp` or a VPC network in
 * production, the network itself locally. A runtime may lack `connect()`, so it is looked for.
 *
 * @param binding its name, which comes from the configuration and never from a request
 */
export function findTcpBinding(env: object, binding: string): TcpBinding | undefined {
  const found: unknown = Reflect.get(env, binding);
  if (typeof found !== "object" || found === null || !("connect" in found)) return undefined;
  return typeof found.connect === "function" ? (found as TcpBinding) : undefined;
}

/**
 * `findClusterBinding` for a binding that the deployment must have.
 *
 * @throws where it has none of that name
 */
export function clusterBinding(env: object, binding: string): Fetcher {
  const found = findClusterBinding(env, binding);
  if (!found) throw new Error(`the deployment has no service binding named ${binding}`);
  return found;
}
