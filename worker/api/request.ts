import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import type { Identity } from "../policy/identify.ts";

/** A request under `/-/` from somebody whose token is valid, and whom an identity rule knows. */
export interface ApiRequest {
  readonly request: Request;
  readonly url: URL;
  readonly subject: Subject;
  readonly accessIdentity: AccessIdentity;
  /** By the document's own identity rules under `/-/admin/`, elsewhere by those of the cluster. */
  readonly identity: Identity;
  /** The cluster of the host name that was asked. Undefined: the host is Sallyport's own. */
  readonly cluster: Cluster | undefined;
  readonly config: Config;
  readonly env: Bindings;
}

/** What a handler may use beside the parsed call. */
export type ApiContext = Omit<ApiRequest, "request">;
