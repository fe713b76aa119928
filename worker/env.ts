import type { SharedBindings } from "../contract/bindings.ts";

/** The Worker's bindings, as `wrangler.jsonc` declares them. */
export interface Bindings extends SharedBindings {
  /** The only cluster. A deployment of several clusters has a binding of this kind for each. */
  readonly KUBE_API: Fetcher;
  /** The bucket that the audit log is exported to, if it is. See worker/export. */
  readonly EXPORT?: R2Bucket | undefined;
  /** See worker/config/schema.ts; a long document has more variables, see worker/config/variables.ts. */
  readonly SALLYPORT_CONFIG: unknown;
  /** The version of this Worker, if the deployment binds it. */
  readonly VERSION?: { readonly id: string };
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}
