import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import type { AccessIdentity, Identity } from "../policy/identify.ts";

/** A request to Sallyport itself, of somebody whom a rule knows. */
export interface ApiRequest {
  readonly request: Request;
  readonly url: URL;
  readonly subject: Subject;
  readonly details: AccessIdentity;
  readonly identity: Identity;
  /** By the host that was asked; a host may be Sallyport's own. */
  readonly cluster: Cluster | undefined;
  readonly config: Config;
  readonly env: Bindings;
  /** Answers no, and leaves it to the record. */
  forbid(message: string): Response;
}
