/** What each error of token verification means. Whatever it is, nobody is let in. */
import { errors } from "jose";
import { describeError, logEvent } from "../../common/log.ts";
import { type Denial, denial } from "../denials.ts";

export const BAD_TOKEN = denial("bad_token", "the Cloudflare Access token is not valid here: sign in again");
const EXPIRED_TOKEN = denial("bad_token", "the Cloudflare Access token has expired: sign in again");
const KEYS_UNREACHABLE = denial(
  "keys_unreachable",
  "Cloudflare Access tokens cannot be verified at the moment, because the signing keys cannot be reached: " +
    "try again in a minute",
);

/** The key set was not fetched, or one of its keys cannot be imported. */
export class KeySetError extends Error {
  override readonly name = "KeySetError";
  readonly code = "KEY_SET_UNUSABLE";
}

/**
 * `token`: its bearer must sign in again. `keys`: Access must be reached again. `unknown`: not expected here.
 */
type Fault = "token" | "expired" | "keys" | "unknown";

/** A code that a newer jose adds does not compile until somebody has decided here what it means. */
const FAULTS: Readonly<Record<errors.JOSEErrorCode | KeySetError["code"], Fault>> = {
  ERR_JWT_EXPIRED: "expired",
  ERR_JWT_CLAIM_VALIDATION_FAILED: "token",
  ERR_JWT_INVALID: "token",
  ERR_JWS_INVALID: "token",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "token",
  ERR_JWKS_NO_MATCHING_KEY: "token",
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: "token",
  ERR_JOSE_ALG_NOT_ALLOWED: "token",
  ERR_JOSE_NOT_SUPPORTED: "token",
  KEY_SET_UNUSABLE: "keys",
  ERR_JWKS_TIMEOUT: "keys",
  ERR_JWKS_INVALID: "keys",
  ERR_JWK_INVALID: "keys",
  // jose has no other code for a key set that is not JSON, or not answered with 200.
  ERR_JOSE_GENERIC: "keys",
  // Encryption, which nothing here uses.
  ERR_JWE_DECRYPTION_FAILED: "unknown",
  ERR_JWE_INVALID: "unknown",
};

/**
 * The denial for an error of token verification. Only known faults of the key set are answered with 503; an
 * unknown error is a refusal. Logs all but faults of the token.
 */
export function denialOfFault(error: unknown): Denial {
  const fault = faultOf(error);
  switch (fault) {
    case "token":
      return BAD_TOKEN;
    case "expired":
      return EXPIRED_TOKEN;
    case "keys":
      logEvent("error", "access_keys_unavailable", { error: describeError(error) });
      return KEYS_UNREACHABLE;
    case "unknown":
      // No message: it might quote the token.
      logEvent("error", "access_token_error_unknown", { error: nameOf(error) });
      return BAD_TOKEN;
  }
}

function faultOf(error: unknown): Fault {
  if (!(error instanceof errors.JOSEError || error instanceof KeySetError)) return "unknown";
  return isKnown(error.code) ? FAULTS[error.code] : "unknown";
}

function isKnown(code: string): code is keyof typeof FAULTS {
  return Object.hasOwn(FAULTS, code);
}

function nameOf(error: unknown): string {
  if (error instanceof errors.JOSEError) return error.code;
  return error instanceof Error ? error.name : `a thrown ${typeof error}`;
}
