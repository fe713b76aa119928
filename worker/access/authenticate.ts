import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Config } from "../config/schema.ts";
import type { Refusal } from "../refusal.ts";
import type { Subject } from "./subject.ts";
import { TokenCache } from "./token-cache.ts";

/** Set by Access on every request it lets through. The cookie of the same content is not read: browsers send it alone. */
export const ASSERTION_HEADER = "Cf-Access-Jwt-Assertion";

/** Access signs with nothing else; `none` and the HMAC family must never be reachable through the token's own header. */
const ALGORITHMS = ["RS256"];
/** Clocks of two well-kept machines. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Real tokens are 1 to 2 KiB. */
const MAX_TOKEN_CHARS = 16 * 1024;

/** RFC 7515, 3.1: three parts of base64url without padding. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const KEYS_MAX_AGE_MS = 10 * 60 * 1000;
/** However many unknown key ids arrive, the team's domain is asked at most so often. */
const KEYS_COOLDOWN_MS = 30 * 1000;
const KEYS_TIMEOUT_MS = 5 * 1000;
/**
 * To verify a token is most of what Sallyport adds to a plain request. One that has passed every check is believed so long, and
 * never beyond its `exp`: not longer than the cool-down, so a withdrawn key is believed no longer than without this.
 */
const VERIFIED_MAX_AGE_MS = KEYS_COOLDOWN_MS;

/** One `@` between visible ASCII; `system:` and `service:` would be somebody else's names. */
const PLAIN_EMAIL = /^(?!system:|service:)[!-?A-~]+@[!-?A-~]+$/i;
/** What stands before a service token's common name, so that no person's address can be one. */
const SERVICE_PREFIX = "service:";
/** Access makes them itself: a client id. */
const PLAIN_COMMON_NAME = /^[\w.-]{1,128}$/;

export type AuthenticateResult =
  | { readonly ok: true; readonly subject: Subject; readonly token: string }
  | { readonly ok: false; readonly refusal: Refusal };

export type Authenticate = (request: Request) => Promise<AuthenticateResult>;

/**
 * Makes the check of Access tokens. To be made once: the key set is kept across requests and fetched again for an
 * unknown key id, at most once per cool-down.
 *
 * @param keys the team's key set; by default fetched from the team's domain
 */
export function createAuthenticator(access: Config["access"], keys: JWTVerifyGetKey = teamKeys(access)): Authenticate {
  const verified = new TokenCache<Subject>();
  return async (request) => {
    const token = request.headers.get(ASSERTION_HEADER);
    if (!token) {
      return refused(
        "no_token",
        "no Cloudflare Access token: sign in through Access (cloudflared or WARP) and try again",
      );
    }
    if (token.length > MAX_TOKEN_CHARS) return refused("bad_token", BAD_TOKEN);
    const known = verified.get(token, Date.now());
    if (known) return { ok: true, subject: known, token };
    // Base64 is read with spaces in it, too: of one token there would be any number, each kept and asked about apart.
    if (!COMPACT.test(token)) return refused("bad_token", BAD_TOKEN);
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        issuer: access.teamDomain,
        audience: [...access.audiences],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        // jose checks exp and nbf where they are; a token without them would be one for ever.
        requiredClaims: ["exp", "iat", "sub"],
      });
      const read = readSubject(payload, token);
      if (read.ok) {
        const { subject } = read;
        verified.set(token, subject, Math.min(Date.now() + VERIFIED_MAX_AGE_MS, subject.expiresAt));
      }
      return read;
    } catch (error) {
      return rejected(error);
    }
  };
}

const BAD_TOKEN = "the Cloudflare Access token is not valid here: sign in again";

function teamKeys(access: Config["access"]): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(`${access.teamDomain}/cdn-cgi/access/certs`), {
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
    timeoutDuration: KEYS_TIMEOUT_MS,
  });
}

/**
 * Reads an application token: a person's, or a service's. Others that the same keys sign (an organisation's) are not taken
 * for one, and neither is one that could be both.
 *
 * @param payload of a token whose signature and times are verified
 */
export function readSubject(payload: JWTPayload, token: string): AuthenticateResult {
  if (payload["type"] !== "app") return refused("bad_token", BAD_TOKEN);
  const { email, common_name: commonName, sub = "", exp = 0, aud = [] } = payload;
  const rest = { sub, expiresAt: exp * 1000, audiences: [aud].flat(), claims: payload };
  const isService = typeof commonName === "string" && commonName !== "" && sub === "" && !email;
  if (isService) {
    if (!PLAIN_COMMON_NAME.test(commonName)) return refused("bad_token", BAD_TOKEN);
    // Folded like an address: administrators' orders name the user's object without regard to case.
    const name = SERVICE_PREFIX + commonName.toLowerCase();
    return { ok: true, token, subject: { name, email: undefined, commonName, ...rest } };
  }
  if (typeof email !== "string" || email === "" || typeof sub !== "string" || sub === "") {
    return refused("no_identity", "the Cloudflare Access token names neither a person nor a service token");
  }
  // Before folding: the Kelvin sign folds to `k`, and would make another person of its bearer.
  if (!PLAIN_EMAIL.test(email)) {
    return refused(
      "no_identity",
      "the Cloudflare Access token's email is not a plain ASCII address: it is not admitted here",
    );
  }
  const address = email.toLowerCase();
  return { ok: true, token, subject: { name: address, email: address, commonName: undefined, ...rest } };
}

/**
 * What is wrong with the token is its bearer's to mend (401); all else means that it could not be judged (503).
 * Neither lets anything through.
 */
function rejected(error: unknown): AuthenticateResult {
  if (error instanceof errors.JWTExpired) {
    return refused("bad_token", "the Cloudflare Access token has expired: sign in again");
  }
  const isTokenFault =
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported;
  if (isTokenFault) return refused("bad_token", BAD_TOKEN);
  console.error(
    `access: the key set cannot be used: ${error instanceof errors.JOSEError ? error.code : "fetch failed"}`,
  );
  return refused(
    "keys_unreachable",
    "Cloudflare Access tokens cannot be checked at the moment, its keys are out of reach: try again in a minute",
  );
}

function refused(code: Refusal["code"], message: string): AuthenticateResult {
  return { ok: false, refusal: { code, message } };
}
