import type { Denial } from "../../contract/denial.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import type { Identity } from "../policy/identify.ts";

/** A request to Sallyport itself, of somebody whom a rule knows. */
export interface ApiRequest {
  readonly request: Request;
  readonly url: URL;
  readonly subject: Subject;
  readonly details: AccessIdentity;
  /** By the document's own identity rules under `/-/admin/`, and by the cluster's elsewhere. */
  readonly identity: Identity;
  /** By the host that was asked; a host may be Sallyport's own. */
  readonly cluster: Cluster | undefined;
  readonly config: Config;
  readonly env: Bindings;
  /** Renders a denial, and records the request as denied. */
  deny(denial: Denial): Response;
}
