import type { SharedBindings } from "../contract/bindings.ts";
import type { UserObject } from "../contract/user-object-binding.ts";

/** The Worker's bindings, as `wrangler.jsonc` declares them. */
export interface Bindings extends SharedBindings {
  readonly USER_SESSIONS: DurableObjectNamespace<UserObject>;
  /** The cluster, where the configuration names no other binding; a deployment of several clusters has more of its kind. */
  readonly KUBE_API: Fetcher;
  /** Where the record is exported to; without it, it is not. See worker/export. */
  readonly EXPORT?: R2Bucket | undefined;
  /** See worker/config/schema.ts. A JSON value, or its text; a long one goes on in others: worker/config/pieces.ts. */
  readonly SALLYPORT_CONFIG: unknown;
  /** Which version of the Worker this is, where the deployment binds it. */
  readonly VERSION?: { readonly id: string };
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}
