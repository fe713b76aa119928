/**
 * Access in front of its applications, as people without WARP meet it: who has no token is sent to sign in,
 * by a redirect in a browser and by OAuth in a program (Managed OAuth). Who has one passes.
 *
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/
 */
import { parseJson } from "../../common/json.ts";
import { readBoundedText } from "../../common/read-bounded-text.ts";
import { APPLICATION_PATHS, type ApplicationName, applicationAt, Policies } from "./applications.ts";
import { BrowserSessions } from "./browser-sessions.ts";
import { type AccessToken, AuthorizationServer } from "./oauth/authorization-server.ts";
import type { OAuthError } from "./oauth/errors.ts";
import { discoveryDocument, OAUTH_PATHS, resourceMetadataUrl } from "./oauth/metadata.ts";
import { refusalPage, signInPage } from "./pages.ts";
import { PERSONA_NAMES, PERSONAS, type PersonaName } from "./personas.ts";
import { type AccessSettings, type AccessSubject, signAccessToken } from "./tokens.ts";

/** A service token that the clusters' application admits. */
export interface ServiceToken {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface FrontSettings {
  readonly access: AccessSettings;
  readonly accessTokenSeconds: number;
  readonly serviceToken: ServiceToken;
}

/** What Access does with a request: it answers itself, or lets it pass with an assertion of who sent it. */
export type Verdict =
  | { readonly passes: false; readonly response: Response }
  | { readonly passes: true; readonly assertion: string };

/** Two weeks, as Cloudflare recommends for programs. */
const GRANT_SECONDS = 14 * 24 * 60 * 60;
/** Registrations and forms are a few hundred bytes. */
const MAX_BODY_BYTES = 64 * 1024;
const LOGIN_PATH = "/cdn-cgi/access/login";
const NO_STORE = { "cache-control": "no-store" };

/** The state of the fake: sign-ins, policies, cookies. It is gone when the local stack ends. */
export class Front {
  readonly policies = new Policies();
  /**
   * Whether a page's own call without a token is redirected to the sign-in, too, as where an application has
   * no Managed OAuth. Otherwise it is answered 401, as a program is.
   */
  redirectsCalls = false;
  readonly oauth: AuthorizationServer;
  readonly #settings: FrontSettings;
  readonly #browsers = new BrowserSessions();
  /** One assertion for each sign-in's token, since signing costs a millisecond. */
  readonly #assertions = new WeakMap<AccessToken, Promise<string>>();

  constructor(settings: FrontSettings) {
    this.#settings = settings;
    const { accessTokenSeconds } = settings;
    this.oauth = new AuthorizationServer(this.policies, { accessTokenSeconds, grantSeconds: GRANT_SECONDS });
  }

  /**
   * Decides about a request.
   *
   * @param request with a Host header that `isLoopbackHost`
   * @param url its address as the client knows it, with `https:`
   */
  async judge(request: Request, url: URL, nowSeconds: number): Promise<Verdict> {
    const own = await this.#serveOwn(request, url, nowSeconds);
    if (own) return { passes: false, response: own };
    const application = applicationAt(url.pathname);
    const assertion = await this.#assertionFor(request, application, nowSeconds);
    if (assertion !== undefined) return { passes: true, assertion };
    const isRedirected = isNavigation(request.headers) || (this.redirectsCalls && isCallOfPage(request.headers));
    return { passes: false, response: isRedirected ? this.#toSignIn(url) : challenge(request, url) };
  }

  /** Serves what is Access's own, on every host name. */
  async #serveOwn(request: Request, url: URL, nowSeconds: number): Promise<Response | undefined> {
    const { pathname } = url;
    const discovery = discoveryDocument(pathname, url.origin, serverOf(url));
    if (discovery) return withMethods(request, ["GET", "HEAD"], () => json(200, discovery));
    if (!pathname.startsWith("/cdn-cgi/")) return undefined;
    switch (pathname) {
      case OAUTH_PATHS.registration:
        return withMethods(request, ["POST"], () => this.#register(request, nowSeconds));
      case OAUTH_PATHS.authorization:
        return withMethods(request, ["GET"], () => this.#authorize(url, nowSeconds));
      case OAUTH_PATHS.token:
        return withMethods(request, ["POST"], () => this.#exchange(request, nowSeconds));
      case OAUTH_PATHS.revocation:
        return withMethods(request, ["POST"], () => this.#revoke(request));
      case "/cdn-cgi/access/certs":
        return withMethods(request, ["GET", "HEAD"], () => json(200, this.#settings.access.certs));
    }
    if (pathname.startsWith(`${LOGIN_PATH}/`)) {
      return withMethods(request, ["GET"], () => this.#signInBrowser(url, nowSeconds));
    }
    return new Response("Not found\n", { status: 404 });
  }

  async #assertionFor(request: Request, application: ApplicationName, nowSeconds: number): Promise<string | undefined> {
    const { headers } = request;
    const [, bearer] = /^bearer +([^ ]+)$/i.exec(headers.get("authorization") ?? "") ?? [];
    const token =
      (bearer === undefined ? undefined : await this.oauth.resolve(bearer, nowSeconds)) ??
      (await this.#browsers.find(headers.get("cookie"), application, nowSeconds));
    if (token?.application === application) {
      const subject = { kind: "person", persona: token.persona } as const;
      // The shorter of what it may be: whether Access gives it the access token's or the sign-in's end is not
      // known.
      const assertion =
        this.#assertions.get(token) ?? this.#sign(subject, application, nowSeconds, token.expiresAtSeconds);
      this.#assertions.set(token, assertion);
      return assertion;
    }
    const { clientId, clientSecret } = this.#settings.serviceToken;
    const isServiceToken =
      headers.get("cf-access-client-id") === clientId && headers.get("cf-access-client-secret") === clientSecret;
    if (!isServiceToken || application !== "host") return undefined;
    const expiresAtSeconds = nowSeconds + this.#settings.accessTokenSeconds;
    return this.#sign({ kind: "service", clientId }, application, nowSeconds, expiresAtSeconds);
  }

  #sign(subject: AccessSubject, application: ApplicationName, nowSeconds: number, expiresAtSeconds: number) {
    return signAccessToken({ subject, application, nowSeconds, expiresAtSeconds }, this.#settings.access);
  }

  async #register(request: Request, nowSeconds: number): Promise<Response> {
    const { text } = await readBoundedText(request.body, MAX_BODY_BYTES);
    const registered = this.oauth.clients.register(parseJson(text), nowSeconds);
    return registered.ok ? json(201, registered.value, NO_STORE) : failure(registered.error);
  }

  async #authorize(url: URL, nowSeconds: number): Promise<Response> {
    const read = this.oauth.readAuthorization(url.searchParams, url.port);
    if (!read.ok) {
      const { redirectTo, description } = read.error;
      return redirectTo === undefined ? refusalPage(400, "Nobody can sign in here", description) : redirect(redirectTo);
    }
    const { application, clientName, loginHint } = read.value;
    const persona = personaOf(loginHint);
    if (persona) return redirect(await this.oauth.authorize(read.value, persona, nowSeconds));
    return signInPage({ application, clientName, addressOf: (name) => withLoginHint(url, name) });
  }

  async #exchange(request: Request, nowSeconds: number): Promise<Response> {
    const form = await readForm(request);
    if (!form) return failure(NOT_A_FORM);
    const exchanged = await this.oauth.exchange(form, nowSeconds);
    return exchanged.ok ? json(200, exchanged.value, NO_STORE) : failure(exchanged.error);
  }

  async #revoke(request: Request): Promise<Response> {
    const form = await readForm(request);
    if (!form) return failure(NOT_A_FORM);
    const revoked = await this.oauth.revoke(form);
    return revoked.ok ? new Response(null, { status: 200, headers: NO_STORE }) : failure(revoked.error);
  }

  /** A browser that navigates is sent to the sign-in page, as without Managed OAuth. */
  #toSignIn(url: URL): Response {
    const { pathname, search } = url;
    // On the same host name, because the cookie is for that.
    const login = new URL(`${url.origin}${LOGIN_PATH}/${url.host}`);
    login.searchParams.set("kid", this.#settings.access.audiences[applicationAt(pathname)]);
    login.searchParams.set("redirect_url", pathname + search);
    const metadata = resourceMetadataUrl(url.origin, pathname);
    return redirect(login.href, { "www-authenticate": `Cloudflare-Access resource_metadata="${metadata}"` });
  }

  async #signInBrowser(url: URL, nowSeconds: number): Promise<Response> {
    const path = url.searchParams.get("redirect_url") ?? "/";
    const target = URL.canParse(path, url.origin) ? new URL(path, url.origin) : undefined;
    const host = url.pathname.slice(LOGIN_PATH.length + 1);
    // Else the sign-in would lead to any address that somebody puts into a link.
    if (!path.startsWith("/") || target?.origin !== url.origin || host !== url.host) {
      return refusalPage(400, "Nobody can sign in here", "The address to return to is not one of this application.");
    }
    const application = applicationAt(target.pathname);
    const persona = personaOf(url.searchParams.get("login_hint") ?? undefined);
    if (!persona) return signInPage({ application, addressOf: (name) => withLoginHint(url, name) });
    if (!this.policies.admits(application, persona)) {
      const message = `${PERSONAS[persona].email} has no access to this application. Go back to choose somebody else.`;
      return refusalPage(403, "Forbidden", message);
    }
    const cookie = await this.#browsers.open(persona, application, APPLICATION_PATHS[application], nowSeconds);
    return redirect(target.href, { "set-cookie": cookie });
  }
}

const NOT_A_FORM: OAuthError = {
  error: "invalid_request",
  description: "the body must be application/x-www-form-urlencoded, and at most 64 KiB",
};

/** The authorization server: one for all host names of the applications, as a team's domain is. */
function serverOf({ port }: URL): string {
  return new URL(`https://127.0.0.1:${port}`).origin;
}

/**
 * Whether a browser asks for a page. How Access decides is not documented; browsers say it in
 * `Sec-Fetch-Mode`, and older ones by the kinds of document that they accept.
 */
function isNavigation(headers: Headers): boolean {
  if (headers.has("authorization")) return false;
  const mode = headers.get("sec-fetch-mode");
  return mode === null ? (headers.get("accept") ?? "").includes("text/html") : mode === "navigate";
}

/** Whether a script of a page made the request. */
function isCallOfPage(headers: Headers): boolean {
  return !headers.has("authorization") && headers.get("sec-fetch-dest") === "empty";
}

/** RFC 6750, section 3, and RFC 9728, section 5.1. */
function challenge(request: Request, url: URL): Response {
  const metadata = resourceMetadataUrl(url.origin, url.pathname);
  const description = request.headers.has("authorization")
    ? "the access token is expired, revoked or not of this application: get a new one"
    : "sign in to this application";
  return json(
    401,
    { error: "invalid_token", error_description: description, resource_metadata: metadata },
    { ...NO_STORE, "www-authenticate": `Bearer realm="OAuth", error="invalid_token", resource_metadata="${metadata}"` },
  );
}

function personaOf(loginHint: string | undefined): PersonaName | undefined {
  const wanted = loginHint?.toLowerCase();
  return PERSONA_NAMES.find((name) => name === wanted || PERSONAS[name].email === wanted);
}

function withLoginHint(url: URL, name: PersonaName): string {
  const chosen = new URL(url);
  chosen.searchParams.set("login_hint", name);
  return chosen.pathname + chosen.search;
}

async function readForm(request: Request): Promise<URLSearchParams | undefined> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded *(;|$)/i.test(type)) return undefined;
  const { text, isTruncated } = await readBoundedText(request.body, MAX_BODY_BYTES);
  return isTruncated ? undefined : new URLSearchParams(text);
}

async function withMethods(
  request: Request,
  methods: readonly string[],
  serve: () => Response | Promise<Response>,
): Promise<Response> {
  if (methods.includes(request.method)) return serve();
  return new Response("Method not allowed\n", { status: 405, headers: { allow: methods.join(", ") } });
}

function failure({ error, description }: OAuthError): Response {
  return json(400, { error, error_description: description }, NO_STORE);
}

function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(body, { status, headers });
}

function redirect(location: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 302, headers: { ...NO_STORE, ...headers, location } });
}
