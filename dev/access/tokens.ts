/** Application tokens as Cloudflare Access signs them: the same claims and algorithm, another key. */
import { importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import type { ApplicationName } from "./applications.ts";
import { PERSONAS, type PersonaName } from "./personas.ts";

const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;
/** A session may last as long as its token, so a request must not arrive with one that is about to expire. */
const RENEW_BEFORE_EXPIRY_SECONDS = 12 * 60 * 60;

/** What the fake needs to issue tokens. The private key never leaves this machine. */
export interface AccessSettings {
  /** The team's domain: `iss` of every token, and the origin that serves the key set. */
  readonly issuer: string;
  /** Audience tags of the Access applications. */
  readonly audiences: Readonly<Record<ApplicationName, string>>;
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

/** Whom a token is about: a person, or a program with a service token. */
export type AccessSubject =
  | { readonly kind: "person"; readonly persona: PersonaName }
  | { readonly kind: "service"; readonly clientId: string };

export interface TokenRequest {
  readonly subject: AccessSubject;
  readonly application: ApplicationName;
  readonly nowSeconds: number;
  readonly expiresAtSeconds: number;
}

/** Signs an application token, valid from `nowSeconds`. */
export async function signAccessToken(request: TokenRequest, settings: AccessSettings): Promise<string> {
  const { subject, application, nowSeconds, expiresAtSeconds } = request;
  const key = await importJWK(settings.signingKey, "RS256");
  return new SignJWT(claimsOf(subject))
    .setProtectedHeader({ alg: "RS256", kid: settings.signingKey.kid, typ: "JWT" })
    .setIssuer(settings.issuer)
    .setAudience([settings.audiences[application]])
    .setIssuedAt(nowSeconds)
    .setNotBefore(nowSeconds)
    .setExpirationTime(expiresAtSeconds)
    .sign(key);
}

/**
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/
 */
function claimsOf(subject: AccessSubject): JWTPayload {
  if (subject.kind === "service") return { type: "app", common_name: subject.clientId, sub: "" };
  const { email, sub, groups } = PERSONAS[subject.persona];
  return {
    email,
    sub,
    type: "app",
    identity_nonce: crypto.randomUUID().replaceAll("-", "").slice(0, 16),
    // XX is Cloudflare's code for an unknown country.
    country: "XX",
    custom: { groups },
  };
}

/** Caches one token per persona and application, and renews it long before it expires. */
export class TokenCache {
  readonly #tokens = new Map<string, { token: string; renewAtSeconds: number }>();

  async get(
    persona: PersonaName,
    application: ApplicationName,
    settings: AccessSettings,
    nowSeconds: number,
  ): Promise<string> {
    const key = `${persona} ${application}`;
    const cached = this.#tokens.get(key);
    if (cached && nowSeconds < cached.renewAtSeconds) return cached.token;
    const expiresAtSeconds = nowSeconds + TOKEN_LIFETIME_SECONDS;
    const subject = { kind: "person", persona } as const;
    const token = await signAccessToken({ subject, application, nowSeconds, expiresAtSeconds }, settings);
    this.#tokens.set(key, { token, renewAtSeconds: expiresAtSeconds - RENEW_BEFORE_EXPIRY_SECONDS });
    return token;
  }
}
