/** Which Access application a sign-in is for. Pure. */
import { err, ok, type Result } from "../common/result.ts";

/** The path that a deployment puts behind an Access application of its own. */
export const ADMIN_PATH = "/-/admin";

/** An Access application, by an address in it. A sign-in counts for all of its host names. */
export interface Application {
  /** `https://host[:port]`, or the same with {@link ADMIN_PATH}: the key of its sign-in. */
  readonly id: string;
  /** `https://host[:port]` */
  readonly origin: string;
  readonly isAdmin: boolean;
  /** What is asked without credentials, to learn how to sign in. */
  readonly probeUrl: string;
}

/**
 * The application at an address.
 *
 * @param address a cluster's `server`, or what `--application` names
 * @returns the application, or what is wrong with the address
 */
export function applicationAt(address: string, { isAdmin = false } = {}): Result<Application, string> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || url.hostname === "") {
    return err(`${JSON.stringify(address)} is not an address such as https://k8s.example.com`);
  }
  if (url.protocol !== "https:") {
    return err(`${url.origin} is not an https address: credentials are never sent without TLS`);
  }
  if (url.username !== "" || url.password !== "") {
    return err("an address must not have a user name or password in it");
  }
  return ok({
    id: isAdmin ? `${url.origin}${ADMIN_PATH}` : url.origin,
    origin: url.origin,
    isAdmin,
    // Both exist in every deployment, and need a role at most.
    probeUrl: `${url.origin}${isAdmin ? `${ADMIN_PATH}/export` : "/-/whoami"}`,
  });
}

/**
 * @returns whether a resource identifier (RFC 9728) covers an address: the same origin, and a path that is
 *   the same or above it. Any other would let one host ask for a sign-in at another one.
 */
export function isResourceOf(resource: string, address: string): boolean {
  if (!URL.canParse(resource)) return false;
  const { origin, pathname, search, hash, username, password } = new URL(resource);
  if (search !== "" || hash !== "" || username !== "" || password !== "") return false;
  const asked = new URL(address);
  const folder = pathname.endsWith("/") ? pathname : `${pathname}/`;
  return origin === asked.origin && `${asked.pathname}/`.startsWith(folder);
}
