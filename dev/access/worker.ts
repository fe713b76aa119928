/**
 * The local fake of Cloudflare Access. Every persona has a socket of its own, and a client that reaches it IS
 * that person: there is no sign-in. One more socket, behind TLS, asks for a sign-in: see front.ts. All listen
 * on loopback and must never listen anywhere else.
 *
 * Like Access it removes the headers with which a client could impersonate Cloudflare, and adds a signed
 * token. It passes the request on inside workerd, so that upgrades and bodies stream natively.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { REMOVED_ACCESS_CRON } from "../../worker/crons.ts";
import { APPLICATION_NAMES, applicationAt } from "./applications.ts";
import { Front, type FrontSettings } from "./front.ts";
import { isLoopbackHost } from "./loopback.ts";
import { PERSONA_NAMES, type PersonaName } from "./personas.ts";
import { TokenCache } from "./tokens.ts";

/**
 * What the flag `service_binding_extra_handlers` adds to a service binding. Only workerd has it, not
 * Cloudflare.
 */
interface Scheduled {
  scheduled(options: { readonly cron: string; readonly scheduledTime: Date }): Promise<{ readonly outcome: string }>;
}

interface Env {
  readonly SALLYPORT: Fetcher & Scheduled;
  readonly FRONT: FrontSettings;
  /** Whether there is a second cluster. */
  readonly HAS_SECOND: boolean;
}

/** A persona's requests share a token. It involves no I/O, so sharing it between requests is safe. */
const tokens = new TokenCache();

/** The host name of the second cluster, see dev/stack/local-config.ts. */
const SECOND_HOST = "second.localhost";

async function forwardAs(name: PersonaName, request: Request, env: Env, host?: string): Promise<Response> {
  if (!isLoopbackHost(request.headers.get("host"), request.url)) return refuseForeignHost();
  const application = applicationAt(new URL(request.url).pathname);
  const token = await tokens.get(name, application, env.FRONT.access, nowInSeconds());
  return forward(host === undefined ? request : onHost(request, host), token, env);
}

/** Passes a request on with Access's assertion of who sent it, and without what a client made up. */
function forward(request: Request, assertion: string, env: Env): Promise<Response> {
  // An empty `cf`, because workerd would take it from a client's header here.
  const forwarded = new Request(request, { redirect: "manual", cf: {} });
  for (const header of [...forwarded.headers.keys()]) {
    if (header.startsWith("cf-")) forwarded.headers.delete(header);
  }
  forwarded.headers.set("Cf-Access-Jwt-Assertion", assertion);
  forwarded.headers.set("CF-Connecting-IP", "127.0.0.1");
  return env.SALLYPORT.fetch(forwarded);
}

function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000);
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

/** Made with the first request, because its settings come with that. */
let state: Front | undefined;

function stateOf({ FRONT }: Env): Front {
  state ??= new Front(FRONT);
  return state;
}

/** The address behind TLS, where nobody is anybody before they have signed in. */
export class front extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    const host = request.headers.get("host");
    if (host === null || !isLoopbackHost(host, request.url)) return refuseForeignHost();
    // Node has ended TLS before. As with Cloudflare, the Worker sees the address that the client used.
    const asked = new URL(request.url.replace(/^http:\/\/[^/]+/, `https://${host}`));
    const verdict = await stateOf(this.env).judge(request, asked, nowInSeconds());
    if (!verdict.passes) return verdict.response;
    const url = new URL(asked);
    // The second host name of the clusters' application that resolves everywhere.
    if (this.env.HAS_SECOND && url.hostname === "localhost") url.hostname = SECOND_HOST;
    return forward(new Request(url, request), verdict.assertion, this.env);
  }
}

/**
 * What an administrator does in Cloudflare's dashboard: `PUT` or `DELETE
 * /cdn-cgi/local/policies/APPLICATION/PERSONA` admits somebody to an application or no longer, `DELETE
 * /cdn-cgi/local/sign-ins/PERSONA` ends their sign-ins, and `PUT` or `DELETE /cdn-cgi/local/redirected-calls`
 * says how a page's calls are asked to sign in. No web page can send these methods here.
 */
function administer(method: string, pathname: string, front: Front): Response {
  const [, , , subject = "", ...rest] = pathname.split("/");
  const persona = PERSONA_NAMES.find((name) => name === rest.at(-1));
  const application = APPLICATION_NAMES.find((name) => name === rest[0]);
  const isChange = method === "PUT" || method === "DELETE";
  if (subject === "policies" && rest.length === 2 && persona && application && isChange) {
    front.policies.set(application, persona, method === "PUT");
  } else if (subject === "sign-ins" && rest.length === 1 && persona && method === "DELETE") {
    front.oauth.revokeAll(persona);
  } else if (subject === "redirected-calls" && rest.length === 0 && isChange) {
    front.redirectsCalls = method === "PUT";
  } else {
    return new Response("Not found\n", { status: 404 });
  }
  return new Response(null, { status: 204 });
}

/** Triggers each schedule, since nothing else does here. A web page can at worst run them too often. */
async function runSchedule({ SALLYPORT }: Env): Promise<Response> {
  const scheduledTime = new Date();
  for (const cron of [REMOVED_ACCESS_CRON, "*/5 * * * *"]) {
    const { outcome } = await SALLYPORT.scheduled({ cron, scheduledTime });
    if (outcome !== "ok") return new Response(`${outcome}\n`, { status: 500 });
  }
  return new Response("ok\n");
}

/** The team's domain: serves the key set, triggers the schedule, and takes an administrator's changes. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (!isLoopbackHost(request.headers.get("host"), request.url)) return refuseForeignHost();
    const { pathname } = new URL(request.url);
    if (pathname === "/cdn-cgi/local/scheduled" && request.method === "POST") return runSchedule(env);
    if (pathname.startsWith("/cdn-cgi/local/")) return administer(request.method, pathname, stateOf(env));
    if (pathname !== "/cdn-cgi/access/certs") return new Response("Not found\n", { status: 404 });
    return Response.json(env.FRONT.access.certs, { headers: { "cache-control": "public, max-age=14400" } });
  },
};
