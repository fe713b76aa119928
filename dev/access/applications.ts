/** The two Access applications of the local stack, and who may use them. Pure. */
import { PERSONA_NAMES, type PersonaName } from "./personas.ts";

/** `host`: the clusters' host name. `admin`: its path of the admin API, which is a longer match and wins. */
export const APPLICATION_NAMES = ["host", "admin"] as const;
export type ApplicationName = (typeof APPLICATION_NAMES)[number];

/** As in terraform/stacks/access.ts. */
const ADMIN_PATH = "/-/admin";

/** The path that an application is on. */
export const APPLICATION_PATHS: Readonly<Record<ApplicationName, string>> = { host: "/", admin: ADMIN_PATH };

/** @returns the application that a path belongs to, which Cloudflare has percent-decoded before it looks */
export function applicationAt(pathname: string): ApplicationName {
  const decoded = pathname.replace(/%([2-7][0-9a-f])/gi, (escaped, code: string) => {
    const character = String.fromCharCode(Number.parseInt(code, 16));
    return /[\w.~-]/.test(character) ? character : escaped;
  });
  return decoded === ADMIN_PATH || decoded.startsWith(`${ADMIN_PATH}/`) ? "admin" : "host";
}

/** Everybody may sign in to the clusters' application. What they may do there, the edge decides. */
const ADMITTED_AT_START: Readonly<Record<ApplicationName, readonly PersonaName[]>> = {
  host: PERSONA_NAMES,
  admin: ["admin"],
};

/** Whom each application admits. It is asked at a sign-in and at each refresh, not for each request. */
export class Policies {
  readonly #admitted = new Map(APPLICATION_NAMES.map((name) => [name, new Set(ADMITTED_AT_START[name])]));

  admits(application: ApplicationName, persona: PersonaName): boolean {
    return this.#admitted.get(application)?.has(persona) === true;
  }

  set(application: ApplicationName, persona: PersonaName, isAdmitted: boolean): void {
    if (isAdmitted) this.#admitted.get(application)?.add(persona);
    else this.#admitted.get(application)?.delete(persona);
  }
}
