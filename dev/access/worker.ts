/**
 * The local fake of Cloudflare Access. Every persona has a socket of its own, and a client that reaches it IS
 * that person: there is no sign-in. It listens on loopback and must never listen anywhere else.
 *
 * Like Access it removes the headers with which a client could impersonate Cloudflare, and adds a signed
 * token. It passes the request on inside workerd, so that upgrades and bodies stream natively.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { isLoopbackHost } from "./loopback.ts";
import type { PersonaName } from "./personas.ts";
import { type AccessSettings, TokenCache } from "./tokens.ts";

/**
 * What the flag `service_binding_extra_handlers` adds to a service binding. Only workerd has it, not
 * Cloudflare.
 */
interface Scheduled {
  scheduled(options: { readonly cron: string; readonly scheduledTime: Date }): Promise<{ readonly outcome: string }>;
}

interface Env {
  readonly SALLYPORT: Fetcher & Scheduled;
  readonly ACCESS: AccessSettings;
}

/** A persona's requests share a token. It involves no I/O, so sharing it between requests is safe. */
const tokens = new TokenCache();

/** The host name of the second cluster, see dev/stack/local-config.ts. */
const SECOND_HOST = "second.localhost";

async function forwardAs(name: PersonaName, request: Request, env: Env, host?: string): Promise<Response> {
  if (!isLoopbackHost(request.headers.get("host"), request.url)) return refuseForeignHost();
  const token = await tokens.get(name, env.ACCESS, Math.floor(Date.now() / 1000));
  // An empty `cf`, because workerd would take it from a client's header here.
  const forwarded = new Request(host === undefined ? request : onHost(request, host), { redirect: "manual", cf: {} });
  for (const header of [...forwarded.headers.keys()]) {
    if (header.startsWith("cf-")) forwarded.headers.delete(header);
  }
  forwarded.headers.set("Cf-Access-Jwt-Assertion", token);
  forwarded.headers.set("CF-Connecting-IP", "127.0.0.1");
  return env.SALLYPORT.fetch(forwarded);
}

/**
 * The same request for another host. The new URL resolves dot segments, so tests of raw paths must use the
 * first cluster.
 */
function onHost(request: Request, host: string): Request {
  return new Request(request.url.replace(/^(http:\/\/)[^/]+/, `$1${host}`), request);
}

/** A web page whose own name resolves to 127.0.0.1 (DNS rebinding) must not become a persona. */
function refuseForeignHost(): Response {
  return new Response(
    "This is Sallyport's local fake of Access. It answers only to 127.0.0.1, localhost and [::1].\n",
    { status: 403, headers: { "content-type": "text/plain; charset=utf-8" } },
  );
}

function entrypointFor(name: PersonaName, host?: string) {
  return class extends WorkerEntrypoint<Env> {
    override fetch(request: Request): Promise<Response> {
      return forwardAs(name, request, this.env, host);
    }
  };
}

// One export per persona: the local stack binds each to a socket by this name.
export const alice = entrypointFor("alice");
export const bob = entrypointFor("bob");
export const admin = entrypointFor("admin");
export const mallory = entrypointFor("mallory");
// And one per persona for the second cluster.
export const alice_second = entrypointFor("alice", SECOND_HOST);
export const bob_second = entrypointFor("bob", SECOND_HOST);
export const admin_second = entrypointFor("admin", SECOND_HOST);
export const mallory_second = entrypointFor("mallory", SECOND_HOST);

/** Triggers the schedule, since nothing else does here. A web page can at worst run it too often. */
async function runSchedule({ SALLYPORT }: Env): Promise<Response> {
  const { outcome } = await SALLYPORT.scheduled({ cron: "*/5 * * * *", scheduledTime: new Date() });
  return new Response(`${outcome}\n`, { status: outcome === "ok" ? 200 : 500 });
}

/** The team's domain: serves the key set, and triggers the schedule. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (!isLoopbackHost(request.headers.get("host"), request.url)) return refuseForeignHost();
    const { pathname } = new URL(request.url);
    if (pathname === "/cdn-cgi/local/scheduled" && request.method === "POST") return runSchedule(env);
    if (pathname !== "/cdn-cgi/access/certs") return new Response("Not found\n", { status: 404 });
    return Response.json(env.ACCESS.certs, { headers: { "cache-control": "public, max-age=14400" } });
  },
};
