/** Application tokens as Cloudflare Access signs them: same claims, same algorithm, another key. */
import { importJWK, type JWK, SignJWT } from "jose";
import { PERSONAS, type PersonaName } from "./personas.ts";

const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;
/** A session may run for as long as its token; a request must not arrive with a token about to end. */
const RENEW_BEFORE_EXPIRY_SECONDS = 12 * 60 * 60;

/** What the stand-in needs to be an issuer. The private key never leaves this machine. */
export interface AccessSettings {
  /** The team's domain: `iss` of every token, and where the key set is served. */
  readonly issuer: string;
  /** Audience tag of the one Access application. */
  readonly audience: string;
  /** RSA private key with its `kid`. */
  readonly signingKey: JWK & { readonly kid: string };
  /** Body of `/cdn-cgi/access/certs`. */
  readonly certs: AccessCerts;
}

/** The document a team's domain serves: JWKs, and the same keys as certificates. */
export interface AccessCerts {
  readonly keys: readonly JWK[];
  readonly public_cert: { readonly kid: string; readonly cert: string };
  readonly public_certs: readonly { readonly kid: string; readonly cert: string }[];
}

/** One token for one persona, valid from `nowSeconds` for a day. */
export async function signAccessToken(
  name: PersonaName,
  settings: AccessSettings,
  nowSeconds: number,
  nonce: string,
): Promise<string> {
  const persona = PERSONAS[name];
  const key = await importJWK(settings.signingKey, "RS256");
  return new SignJWT({
    email: persona.email,
    type: "app",
    identity_nonce: nonce,
    // ISO 3166 reserves XX for "unknown": loopback is in no country.
    country: "XX",
    custom: { groups: persona.groups },
  })
    .setProtectedHeader({ alg: "RS256", kid: settings.signingKey.kid, typ: "JWT" })
    .setIssuer(settings.issuer)
    .setAudience([settings.audience])
    .setSubject(persona.sub)
    .setIssuedAt(nowSeconds)
    .setNotBefore(nowSeconds)
    .setExpirationTime(nowSeconds + TOKEN_LIFETIME_SECONDS)
    .sign(key);
}

/** Keeps one token per persona and renews it long before it ends, as a signed-in browser would hold it. */
export class TokenCache {
  readonly #tokens = new Map<PersonaName, { token: string; renewAtSeconds: number }>();

  async get(name: PersonaName, settings: AccessSettings, nowSeconds: number): Promise<string> {
    const cached = this.#tokens.get(name);
    if (cached && nowSeconds < cached.renewAtSeconds) return cached.token;
    const nonce = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
    const token = await signAccessToken(name, settings, nowSeconds, nonce);
    const renewAtSeconds = nowSeconds + TOKEN_LIFETIME_SECONDS - RENEW_BEFORE_EXPIRY_SECONDS;
    this.#tokens.set(name, { token, renewAtSeconds });
    return token;
  }
}
