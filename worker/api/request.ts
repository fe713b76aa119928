import type { Result } from "../../common/result.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import type { Failure } from "../failure.ts";
import type { Identity } from "../policy/identify.ts";
import type { CheckAccess } from "../sessions/access-watch.ts";

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
  /** Who the caller is by now, for answers that take long. */
  readonly identifyAgain: IdentifyAgain;
}

/** A caller as they are known by now. */
export type KnownCaller = Pick<ApiRequest, "identity" | "accessIdentity">;

/**
 * @param maxAgeMs how old what is known of a lock may be
 * @returns a denial where they are locked, have signed out of their time, or are nobody's any more
 */
export type IdentifyAgain = (maxAgeMs?: number) => Promise<Result<KnownCaller, Denial>>;

/** @returns what the work answers, or why it was not carried out */
export type CarryOut = (work: () => Promise<Result<Response, Failure>>) => Promise<Result<Response, Failure>>;

/** What a handler may use beside the parsed call. */
export type ApiContext = Omit<ApiRequest, "request" | "carryOut"> & {
  /** Whether the caller still may call the route, for answers that take long. */
  readonly checkAccess: CheckAccess;
  /** Its path, query and body are parsed. */
  readonly request: Pick<Request, "headers" | "signal" | "cf">;
};
