/** The cookies of people who signed in with a browser. */
import type { ApplicationName } from "./applications.ts";
import type { AccessToken } from "./oauth/authorization-server.ts";
import type { PersonaName } from "./personas.ts";
import { hashText, randomSecret } from "./secrets.ts";

/** Access's own name. Here it is opaque, as no origin needs to read it. */
const COOKIE = "CF_Authorization";
/** Access's default. */
const LIFETIME_SECONDS = 24 * 60 * 60;

export class BrowserSessions {
  readonly #sessions = new Map<string, AccessToken>();

  /** @returns the value of the `Set-Cookie` header that signs a browser in */
  async open(persona: PersonaName, application: ApplicationName, path: string, nowSeconds: number): Promise<string> {
    for (const [hash, { expiresAtSeconds }] of this.#sessions) {
      if (nowSeconds >= expiresAtSeconds) this.#sessions.delete(hash);
    }
    const secret = randomSecret();
    const expiresAtSeconds = nowSeconds + LIFETIME_SECONDS;
    this.#sessions.set(await hashText(secret), { persona, application, expiresAtSeconds });
    // "lax" as in terraform/stacks/access.ts: with "strict" it would not be sent after the sign-in.
    return `${COOKIE}=${secret}; Path=${path}; Max-Age=${LIFETIME_SECONDS}; Secure; HttpOnly; SameSite=Lax`;
  }

  /** @returns the session of this application in a `Cookie` header, if it has one that counts */
  async find(
    cookieHeader: string | null,
    application: ApplicationName,
    nowSeconds: number,
  ): Promise<AccessToken | undefined> {
    // The application with the longer path has a cookie of the same name, which comes first.
    for (const cookie of (cookieHeader ?? "").split(/; */)) {
      if (!cookie.startsWith(`${COOKIE}=`)) continue;
      const session = this.#sessions.get(await hashText(cookie.slice(COOKIE.length + 1)));
      if (session?.application === application && nowSeconds < session.expiresAtSeconds) return session;
    }
    return undefined;
  }
}
