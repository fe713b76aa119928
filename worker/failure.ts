import type { Denial } from "../contract/denial.ts";

/** Why a request ends without an answer of its own: Sallyport refused it, or what it was sent to did not answer. */
export type Failure = Denial | UpstreamFailure;

/** An allowed request was sent on, and no answer came. For the audit log it is allowed, and `message` its reason. */
export interface UpstreamFailure {
  readonly code: "cluster_unreachable" | "client_gone";
  readonly message: string;
  readonly wasSent: true;
}

/** Makes a failure of a request that was sent on. */
export function upstreamFailure(code: UpstreamFailure["code"], message: string): UpstreamFailure {
  return { code, message, wasSent: true };
}
