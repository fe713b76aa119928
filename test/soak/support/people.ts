/**
 * The users of a soak run: the personas through the Access fake, and any number of others with tokens signed
 * here.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, type JWK, SignJWT } from "jose";
import { PERSONAS, type PersonaName } from "../../../dev/access/personas.ts";
import type { SoakStack } from "./soak-stack.ts";

const TOKEN_LIFETIME_SECONDS = 60 * 60;

export interface Endpoint {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Person {
  readonly email: string;
  /** Address and headers of this person's requests. */
  endpoint(): Promise<Endpoint>;
}

export function persona(stack: SoakStack, name: PersonaName): Person {
  return {
    email: PERSONAS[name].email,
    endpoint: () => Promise.resolve({ url: stack.facts.personas[name].url, headers: {} }),
  };
}

/** A user other than the personas, with a token like those of the fake, at the edge's own socket. */
export function tokenUser(stack: SoakStack, email: string): Person {
  let token: { readonly issuer: string; readonly text: string } | undefined;
  return {
    email,
    endpoint: async () => {
      const { access, workerUrl } = stack.facts;
      if (token?.issuer !== access.issuer) token = { issuer: access.issuer, text: await sign(stack, email) };
      return { url: workerUrl, headers: { "Cf-Access-Jwt-Assertion": token.text } };
    },
  };
}

async function sign(stack: SoakStack, email: string): Promise<string> {
  const { access, stateDir } = stack.facts;
  const { signingKey } = JSON.parse(readFileSync(join(stateDir, "access-keys.json"), "utf8")) as {
    signingKey: JWK & { kid: string };
  };
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ email, type: "app", country: "XX" })
    .setProtectedHeader({ alg: "RS256", kid: signingKey.kid, typ: "JWT" })
    .setIssuer(access.issuer)
    .setAudience([access.audience])
    .setSubject(`soak-${email}`)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + TOKEN_LIFETIME_SECONDS)
    .sign(await importJWK(signingKey, "RS256"));
}
