/** Application tokens as Cloudflare Access signs them: the same claims and algorithm, another key. */
import { importJWK, type JWK, SignJWT } from "jose";
import { PERSONAS, type PersonaName } from "./personas.ts";

const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;
/** A session may last as long as its token, so a request must not arrive with one that is about to expire. */
const RENEW_BEFORE_EXPIRY_SECONDS = 12 * 60 * 60;

/** What the fake needs to issue tokens. The private key never leaves this machine. */
export interface AccessSettings {
  /** The team's domain: `iss` of every token, and the origin that serves the key set. */
  readonly issuer: string;
  /** Audience tag of the one Access application. */
  readonly audience: string;
  /** RSA private key with its `kid`. */
  readonly signingKey: JWK & { readonly kid: string };
  /** Body of `/cdn-cgi/access/certs`. */
  readonly certs: AccessCerts;
}

/** The document that a team's domain serves: JWKs, and the same keys as certificates. */
export interface AccessCerts {
  readonly keys: readonly JWK[];
  readonly public_cert: { readonly kid: string; readonly cert: string };
  readonly public_certs: readonly { readonly kid: string; readonly cert: string }[];
}

/** Signs a persona's token, valid for a day from `nowSeconds`. */
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
    // XX is Cloudflare's code for an unknown country.
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

/** Caches one token per persona, and renews it long before it expires. */
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
