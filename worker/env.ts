import type { UserSessions } from "../durable/user-sessions.ts";

/** The Worker's bindings, as `wrangler.jsonc` declares them. */
export interface Bindings {
  readonly USER_SESSIONS: DurableObjectNamespace<UserSessions>;
  readonly AUDIT_DB: D1Database;
  /** The cluster: a Workers VPC service in production, an external service locally. */
  readonly KUBE_API: Fetcher;
  /** See worker/config/schema.ts. A JSON value, or its text. */
  readonly SALLYPORT_CONFIG: unknown;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}
