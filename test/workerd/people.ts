import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { importJWK, type JWTPayload, SignJWT } from "jose";
import { ok } from "../../common/result.ts";
import { readSubject } from "../../worker/access/authenticate.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import type { Bindings } from "../../worker/env.ts";
import { createHandler } from "../../worker/handler.ts";
import { expectDescribed } from "./described-answers.ts";

export const TEAM = "https://team.cloudflareaccess.com";
export const HOST = "https://sallyport.example.com";

export const alice: JWTPayload = { email: "alice@example.com", sub: "uid-alice", custom: { groups: ["developers"] } };
export const bob: JWTPayload = { email: "bob@viewers.example.com", sub: "uid-bob" };
export const admin: JWTPayload = { email: "admin@example.com", sub: "uid-admin" };
export const stranger: JWTPayload = { email: "mallory@elsewhere.example", sub: "uid-mallory" };

/** A new developer, with an object and a part of the audit log of their own. */
export function someone(): JWTPayload & { email: string; sub: string } {
  const name = `dev-${crypto.randomUUID()}`;
  return { email: `${name}@example.com`, sub: `uid-${name}`, custom: { groups: ["developers"] } };
}

/** A token as Access signs it for a person. `claims` override any part; `undefined` removes one. */
export async function token(claims: JWTPayload): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ type: "app", iss: TEAM, aud: ["test-audience"], iat: now, nbf: now, exp: now + 3600, ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "test-key" })
    .sign(await importJWK(env.TEST_SIGNING_KEY, "RS256"));
}

/** A request of this person, as it comes from Access. */
export async function requestAs(who: JWTPayload, path: string, init: RequestInit = {}): Promise<Request> {
  const headers = new Headers(init.headers);
  headers.set("Cf-Access-Jwt-Assertion", await token(who));
  return new Request(HOST + path, { ...init, headers });
}

/** Sends a request to the edge as this person. */
export async function as(who: JWTPayload, path: string, init: RequestInit = {}): Promise<Response> {
  const request = await requestAs(who, path, init);
  return expectDescribed(request, await env.EDGE.fetch(request));
}

export const UPGRADE = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io" };

/** Sends a session attempt as kubectl does. */
export function upgrade(who: JWTPayload, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return as(who, path, { headers: { ...UPGRADE, ...headers } });
}

/**
 * Sends a request to the edge's handler in the test's own context: for other configurations and bindings, and
 * for requests that a call between Workers would change (the method of an upgrade becomes GET there).
 */
export function directlyAs(
  who: JWTPayload,
  path: string,
  init: RequestInit = {},
  other: Other = {},
): Promise<Response> {
  return handlerAs(who, other)(path, init);
}

export interface Other {
  readonly config?: Partial<ConfigInput>;
  readonly bindings?: object;
  readonly host?: string;
}

/** The same for several requests to one handler, as in one isolate. */
export function handlerAs(who: JWTPayload, { config = {}, bindings = {}, host = HOST }: Other = {}) {
  const document = typeof env.SALLYPORT_CONFIG === "string" ? JSON.parse(env.SALLYPORT_CONFIG) : env.SALLYPORT_CONFIG;
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const handle = createHandler(loadConfig({ ...(config.clusters ? withoutCluster(document) : document), ...config }), {
    authenticate: async () => {
      const subject = readSubject({ type: "app", exp, aud: ["test-audience"], ...who });
      return subject.ok ? ok({ subject: subject.value, token: "a token" }) : subject;
    },
  });
  return async (path: string, init: RequestInit = {}) => {
    const request = new Request(host + path, init);
    return expectDescribed(request, await handle(request, { ...bound(), ...bindings }, createExecutionContext()));
  };
}

/** Whether sessions reach the cluster by TCP; see test/support/workerd-projects.ts. */
export const IS_TCP = (env.SALLYPORT_CONFIG as { transport?: string }).transport !== "websocket";

/** A document of several clusters has these fields in each of them. */
function withoutCluster({ cluster: _, transport: __, tcpBinding: ___, ...others }: ConfigInput): Partial<ConfigInput> {
  return others;
}

/** The bindings of `env`, which cannot be spread. */
function bound(): Bindings {
  const { USER_SESSIONS, DIRECTORY, AUDIT_DB, RECORDINGS, EXPORT, KUBE_API, SALLYPORT_CONFIG } = env;
  return { USER_SESSIONS, DIRECTORY, AUDIT_DB, RECORDINGS, EXPORT, KUBE_API, SALLYPORT_CONFIG };
}
