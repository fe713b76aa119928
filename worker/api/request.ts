import type { Result } from "../../common/result.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import type { Failure } from "../failure.ts";
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
  /** Carries out what the caller may do, and records it if it is audited. */
  readonly carryOut: CarryOut;
}

/** @returns what the work answers, or why it was not carried out */
export type CarryOut = (work: () => Promise<Result<Response, Failure>>) => Promise<Result<Response, Failure>>;

/** What a handler may use beside the parsed call. */
export type ApiContext = Omit<ApiRequest, "request" | "carryOut"> & {
  /** Its path, query and body are parsed. */
  readonly request: Pick<Request, "headers" | "signal" | "cf">;
};
