import { env, exports } from "cloudflare:workers";
import { importJWK, type JWTPayload, SignJWT } from "jose";

export const TEAM = "https://team.cloudflareaccess.com";
export const HOST = "https://sallyport.example.com";

export const alice: JWTPayload = { email: "alice@example.com", sub: "uid-alice", custom: { groups: ["developers"] } };
export const bob: JWTPayload = { email: "bob@viewers.example.com", sub: "uid-bob" };
export const admin: JWTPayload = { email: "admin@example.com", sub: "uid-admin" };
export const stranger: JWTPayload = { email: "mallory@elsewhere.example", sub: "uid-mallory" };

/** A token as Access signs it for a person; `claims` may override any part. */
export async function token(claims: JWTPayload): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ type: "app", iss: TEAM, aud: ["test-audience"], iat: now, nbf: now, exp: now + 3600, ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "test-key" })
    .sign(await importJWK(env.TEST_SIGNING_KEY, "RS256"));
}

/** A request to the Worker as this person. */
export async function as(who: JWTPayload, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Cf-Access-Jwt-Assertion", await token(who));
  return exports.default.fetch(new Request(HOST + path, { ...init, headers }));
}

/** A session attempt as kubectl makes it. */
export function upgrade(who: JWTPayload, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return as(who, path, { headers: { Upgrade: "websocket", "Sec-WebSocket-Protocol": "v5.channel.k8s.io", ...headers } });
}
