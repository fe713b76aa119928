import { err, type Result } from "../../common/result.ts";
import {
  buildUpstreamHeaders,
  type HeaderLine,
  type Impersonation,
  type ImpersonationError,
  impersonationHeaders,
} from "../../kubernetes/upstream-headers.ts";
import { type Denial, denial } from "../denials.ts";

/**
 * Builds the headers of the request to the cluster.
 *
 * @param client the client's headers
 * @param as the identity from the decision
 * @param upgrade whether the request opens a WebSocket
 * @returns a denial for an identity that cannot be written into headers exactly
 */
export function upstreamHeadersFor(client: Headers, as: Impersonation, upgrade: boolean): Result<Headers, Denial> {
  return denyInvalid(buildUpstreamHeaders(client, as, upgrade ? { upgrade: "websocket" } : {}));
}

/** The Impersonate-* headers of that request, a line for each value. */
export function impersonationLinesFor(as: Impersonation): Result<readonly HeaderLine[], Denial> {
  return denyInvalid(impersonationHeaders(as));
}

function denyInvalid<T>(built: Result<T, ImpersonationError>): Result<T, Denial> {
  if (built.ok) return built;
  return err(denial("no_identity", `${built.error.message}: ask your administrator to correct its rule`));
}
