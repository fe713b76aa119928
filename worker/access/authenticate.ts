import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { describeError } from "../../common/log.ts";
import { SERVICE_TOKEN_PREFIX } from "../../common/person-name.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { Config } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import type { Subject } from "./subject.ts";
import { TokenCache } from "./token-cache.ts";
import { BAD_TOKEN, denialOfFault, KeySetError } from "./token-faults.ts";

/**
 * Access sets it on every request that it lets through. The cookie with the same token is ignored: browsers
 * send it by themselves.
 */
export const ASSERTION_HEADER = "Cf-Access-Jwt-Assertion";

/** The only algorithm that Access signs with. A token must not be able to choose `none` or an HMAC. */
const ALGORITHMS = ["RS256"];
/** The difference between two synchronized clocks. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Real tokens have 1 to 2 KiB. */
const MAX_TOKEN_CHARS = 16 * 1024;

/** RFC 7515, section 3.1: three parts of base64url without padding. */
const COMPACT_SERIALIZATION = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const KEYS_MAX_AGE_MS = 10 * 60 * 1000;
/** The shortest time between two fetches of the key set, however many unknown key ids arrive. */
const KEYS_COOLDOWN_MS = 30 * 1000;
const KEYS_TIMEOUT_MS = 5 * 1000;
/**
 * How long a verified token is accepted again without a new verification, `exp` permitting. Verification is
 * most of what Sallyport adds to an API request. Not longer than the cool-down, so a withdrawn key is not
 * accepted for longer either.
 */
const VERIFIED_MAX_AGE_MS = KEYS_COOLDOWN_MS;

/** One `@` between visible ASCII characters. `system:` and `service:` would be names of somebody else. */
const PLAIN_EMAIL = /^(?!system:|service:)[!-?A-~]+@[!-?A-~]+$/i;
/** Access generates them: a client id. */
const PLAIN_COMMON_NAME = /^[\w.-]{1,128}$/;

/** A verified subject, and the token that proved it. */
export interface Authenticated {
  readonly subject: Subject;
  readonly token: string;
}

export type Authenticate = (request: Request) => Promise<Result<Authenticated, Denial>>;

/**
 * Makes the verifier of Access tokens. Make it once per isolate: it caches the key set and verified tokens.
 *
 * @param keys the team's key set; by default fetched from the team's domain
 */
export function createAuthenticator(access: Config["access"], keys: JWTVerifyGetKey = teamKeys(access)): Authenticate {
  const verified = new TokenCache<Subject>();
  return async (request) => {
    const token = request.headers.get(ASSERTION_HEADER);
    if (!token) return err(NO_TOKEN);
    if (token.length > MAX_TOKEN_CHARS) return err(BAD_TOKEN);
    const cached = verified.get(token, Date.now());
    if (cached) return ok({ subject: cached, token });
    // Decoders of base64 skip spaces and padding: a token would have many variants, each cached by itself.
    if (!COMPACT_SERIALIZATION.test(token)) return err(BAD_TOKEN);
    const payload = await verify(token, keys, access);
    if (!payload.ok) return payload;
    const subject = readSubject(payload.value);
    if (!subject.ok) return subject;
    verified.set(token, subject.value, Math.min(Date.now() + VERIFIED_MAX_AGE_MS, subject.value.expiresAt));
    return ok({ subject: subject.value, token });
  };
}

/**
 * Reads an application token: a person's, or a service's. Other tokens that the same keys sign, such as an
 * organization's, are refused; so is one that could be both a person's and a service's.
 *
 * @param payload of a token whose signature and times are verified
 */
export function readSubject(payload: JWTPayload): Result<Subject, Denial> {
  if (payload["type"] !== "app") return err(BAD_TOKEN);
  const { email, common_name: commonName, sub = "", exp = 0, aud = [] } = payload;
  const rest = { sub, expiresAt: exp * 1000, audiences: [aud].flat(), claims: payload };
  const isService = typeof commonName === "string" && commonName !== "" && sub === "" && !email;
  if (isService) {
    if (!PLAIN_COMMON_NAME.test(commonName)) return err(BAD_TOKEN);
    // In lower case like an address: commands of administrators name users without regard to case.
    const name = SERVICE_TOKEN_PREFIX + commonName.toLowerCase();
    return ok({ name, email: undefined, commonName, ...rest });
  }
  if (typeof email !== "string" || email === "" || typeof sub !== "string" || sub === "") {
    return err(denial("no_identity", "the Cloudflare Access token names neither a person nor a service token"));
  }
  // Checked before the conversion to lower case, which would turn the Kelvin sign into another person's `k`.
  if (!PLAIN_EMAIL.test(email)) {
    const message = "the email in the Cloudflare Access token is not a plain ASCII address, so it is not accepted here";
    return err(denial("no_identity", message));
  }
  const address = email.toLowerCase();
  return ok({ name: address, email: address, commonName: undefined, ...rest });
}

async function verify(
  token: string,
  keys: JWTVerifyGetKey,
  { teamDomain, audiences }: Config["access"],
): Promise<Result<JWTPayload, Denial>> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ALGORITHMS,
      issuer: teamDomain,
      audience: [...audiences],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      // jose checks exp and nbf only where they are present. A token without them would never expire.
      requiredClaims: ["exp", "iat", "sub"],
    });
    return ok(payload);
  } catch (error) {
    return err(denialOfFault(error));
  }
}

const NO_TOKEN = denial(
  "no_token",
  "no Cloudflare Access token: sign in through Access (cloudflared or WARP) and try again",
);

/** Errors other than jose's come from `fetch` or from the import of a malformed key. */
function teamKeys({ teamDomain }: Config["access"]): JWTVerifyGetKey {
  const keySet = createRemoteJWKSet(new URL(`${teamDomain}/cdn-cgi/access/certs`), {
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
    timeoutDuration: KEYS_TIMEOUT_MS,
  });
  return async (header, token) => {
    try {
      return await keySet(header, token);
    } catch (cause) {
      if (cause instanceof errors.JOSEError) throw cause;
      throw new KeySetError(describeError(cause), { cause });
    }
  };
}
