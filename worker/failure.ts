import type { Denial } from "./denials.ts";

/** Why a request has no answer of its own: Sallyport refused it, or what it was sent to did not answer. */
export type Failure = Denial | UpstreamFailure;

/**
 * An allowed request was sent on, and no answer came, or none that may be shown. The audit log has it as
 * allowed, with this message.
 */
export interface UpstreamFailure {
  readonly code: Denial["code"] | "client_gone";
  readonly message: string;
  readonly wasSent: true;
}

/** Makes a failure of a request that was sent on. */
export function upstreamFailure(code: UpstreamFailure["code"], message: string): UpstreamFailure {
  return { code, message, wasSent: true };
}
