/** The Access fake's Managed OAuth, as a standard OAuth client meets it: oauth4webapi, without a socket. */
import { decodeJwt, exportJWK, generateKeyPair } from "jose";
import * as oauth from "oauth4webapi";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Front, type FrontSettings, type Verdict } from "../../dev/access/front.ts";
import { PERSONA_NAMES, type PersonaName } from "../../dev/access/personas.ts";

const ORIGIN = "https://127.0.0.1:8719";
const SECOND_ORIGIN = "https://localhost:8719";
const ADMIN = `${ORIGIN}/-/admin`;
const REDIRECT = "http://127.0.0.1:49152/callback";
const ACCESS_TOKEN_SECONDS = 60;
const SERVICE = { clientId: "ci.access", clientSecret: "of-the-service" };

let access: FrontSettings["access"];
beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const labels = { kid: "a-key", alg: "RS256", use: "sig" };
  const cert = { kid: "a-key", cert: "" };
  access = {
    issuer: "http://127.0.0.1:8714",
    audiences: { host: "the-hosts", admin: "the-admins" },
    signingKey: { ...(await exportJWK(privateKey)), ...labels },
    certs: { keys: [{ ...(await exportJWK(publicKey)), ...labels }], public_cert: cert, public_certs: [cert] },
  };
});

let front: Front;
let nowSeconds: number;
beforeEach(() => {
  front = new Front({ access, accessTokenSeconds: ACCESS_TOKEN_SECONDS, serviceToken: SERVICE });
  nowSeconds = 1_800_000_000;
});

function judge(address: string, init: RequestInit = {}): Promise<Verdict> {
  return front.judge(new Request(address, { redirect: "manual", ...init }), new URL(address), nowSeconds);
}

/** @returns Access's own answer */
async function ask(address: string, init: RequestInit = {}): Promise<Response> {
  const verdict = await judge(address, init);
  if (verdict.passes) throw new Error(`${address} passed`);
  return verdict.response;
}

/** @returns the claims of the assertion that the Worker gets */
async function claimsOf(address: string, headers: Record<string, string>) {
  const verdict = await judge(address, { headers });
  if (!verdict.passes) throw new Error(`${address} was not let through: ${await verdict.response.text()}`);
  return decodeJwt(verdict.assertion);
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** Lets oauth4webapi talk to the fake. */
const through = {
  [oauth.customFetch]: (address: string, init: oauth.CustomFetchOptions<string, unknown>) =>
    ask(address, { ...init, signal: null } as RequestInit),
};

async function discover(issuer = ORIGIN): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...through }));
}

async function register(metadata: Partial<oauth.Client> = {}): Promise<oauth.Client> {
  const asked = { client_name: "a test", redirect_uris: [REDIRECT], token_endpoint_auth_method: "none", ...metadata };
  return oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(await discover(), asked, through),
  );
}

interface SignIn {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly verifier: string;
  readonly state: string;
  readonly address: URL;
}

async function begin(changes: Record<string, string | undefined> = {}): Promise<SignIn> {
  const [server, client] = await Promise.all([discover(), register()]);
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const address = new URL(server.authorization_endpoint ?? "");
  const query = {
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    response_type: "code",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    resource: ORIGIN,
    login_hint: "alice",
    ...changes,
  };
  for (const [name, value] of Object.entries(query)) if (value !== undefined) address.searchParams.set(name, value);
  return { server, client, verifier, state, address };
}

/** @returns where the browser is sent */
async function follow({ address }: SignIn): Promise<URL> {
  const response = await ask(address.href, { headers: { Accept: "text/html" } });
  expect(response.status).toBe(302);
  return new URL(response.headers.get("location") ?? "");
}

function callback({ server, client, state }: SignIn, location: URL): URLSearchParams {
  return oauth.validateAuthResponse(server, client, location, state);
}

async function exchange(
  signIn: SignIn,
  parameters: URLSearchParams,
  { verifier = signIn.verifier, redirectUri = REDIRECT, client = signIn.client, resource = "" } = {},
): Promise<oauth.TokenEndpointResponse> {
  const { server } = signIn;
  const options = { ...through, ...(resource !== "" && { additionalParameters: { resource } }) };
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    parameters,
    redirectUri,
    verifier,
    options,
  );
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function signIn(persona: PersonaName = "alice", resource = ORIGIN) {
  const begun = await begin({ login_hint: persona, resource });
  return { ...begun, tokens: await exchange(begun, callback(begun, await follow(begun))) };
}

async function refresh({ server, client }: SignIn, refreshToken: string | undefined) {
  const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken ?? "", through);
  return oauth.processRefreshTokenResponse(server, client, response);
}

async function revoke({ server, client }: SignIn, token: string | undefined): Promise<void> {
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, oauth.None(), token ?? "", through),
  );
}

/** The error that oauth4webapi makes of a refusal. */
const refused = (error: string) => expect.objectContaining({ error });

describe("a program without a token", () => {
  it.each([
    ["/api/v1/pods", `${ORIGIN}`],
    ["/-/whoami", `${ORIGIN}`],
    ["/-/admin/sessions", ADMIN],
  ])("is told at %s where to sign in", async (path, resource) => {
    const challenge = await challengeAt(ORIGIN + path);
    expect(challenge).toMatchObject({ scheme: "bearer", parameters: { error: "invalid_token" } });
    const metadata = await ask(challenge.parameters["resource_metadata"] ?? "");
    expect(await metadata.json()).toMatchObject({ resource, authorization_servers: [ORIGIN] });
    const response = await ask(ORIGIN + path, { headers: { Accept: "application/json" } });
    expect([response.status, await response.json()]).toMatchObject([401, { error: "invalid_token" }]);
  });

  it("may ask with any method", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]) {
      expect((await ask(`${ORIGIN}/api/v1/pods`, { method })).status, method).toBe(401);
    }
  });

  it.each<[string, Record<string, string>]>([
    ["a made-up token", bearer("oauth:made-up")],
    ["a token that is not of this kind", bearer("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")],
    ["another scheme", { Authorization: "Basic YWxpY2U6YWxpY2U=" }],
    ["a made-up cookie", { Cookie: "CF_Authorization=made-up" }],
    ["an assertion of its own", { "Cf-Access-Jwt-Assertion": "eyJ" }],
    ["a service token with a wrong secret", service("ci.access", "wrong")],
    ["a service token with a wrong id", service("other.access", SERVICE.clientSecret)],
  ])("does not pass with %s", async (_what, headers) => {
    expect((await ask(`${ORIGIN}/api/v1/pods`, { headers })).status).toBe(401);
  });
});

describe("discovery", () => {
  it("finds the authorization server as RFC 8414 has it, and for the admin API's path, too", async () => {
    expect(await discover()).toMatchObject({
      issuer: ORIGIN,
      code_challenge_methods_supported: ["S256"],
      registration_endpoint: `${ORIGIN}/cdn-cgi/access/oauth/registration`,
    });
    expect(await discover(ADMIN)).toMatchObject({
      issuer: ADMIN,
      token_endpoint: `${ORIGIN}/cdn-cgi/access/oauth/token`,
    });
  });

  it.each([ORIGIN, ADMIN, SECOND_ORIGIN])("finds the protected resource %s as RFC 9728 has it", async (resource) => {
    const url = new URL(resource);
    const found = await oauth.processResourceDiscoveryResponse(url, await oauth.resourceDiscoveryRequest(url, through));
    expect(found.authorization_servers).toEqual([ORIGIN]);
  });

  it("leaves the cluster's own documents alone", async () => {
    expect((await ask(`${ORIGIN}/.well-known/openid-configuration`)).status).toBe(401);
    expect((await ask(`${ORIGIN}/.well-known/oauth-authorization-server/elsewhere`)).status).toBe(401);
    expect((await ask(`${ORIGIN}/cdn-cgi/access/anything`)).status).toBe(404);
  });
});

describe("registration", () => {
  it.each(["http://127.0.0.1:1/", "http://[::1]:1/back?a=b", "http://localhost/callback"])(
    "accepts the redirect address %s",
    async (uri) => {
      expect(await register({ redirect_uris: [uri] })).toMatchObject({ redirect_uris: [uri] });
    },
  );

  it.each([
    "https://127.0.0.1:1/",
    "http://evil.example/",
    "http://127.0.0.1.evil.example/",
    "http://127.0.0.1@evil.example/",
    "http://me@127.0.0.1:1/",
    "http://127.0.0.1:1/#fragment",
    "http://127.0.0.1:1/#",
    "http://0.0.0.0:1/",
    "com.example.app:/callback",
    "javascript:alert(1)",
    "/callback",
  ])("refuses the redirect address %s", async (uri) => {
    await expect(register({ redirect_uris: [REDIRECT, uri] })).rejects.toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ error: "invalid_redirect_uri" }) }),
    );
  });

  it.each<[string, unknown]>([
    ["a client with a secret", { redirect_uris: [REDIRECT], token_endpoint_auth_method: "client_secret_basic" }],
    ["the implicit grant", { redirect_uris: [REDIRECT], response_types: ["token"] }],
    ["another grant", { redirect_uris: [REDIRECT], grant_types: ["client_credentials"] }],
    ["a name without end", { redirect_uris: [REDIRECT], client_name: "x".repeat(1_000) }],
    ["no redirect address", { redirect_uris: [] }],
    ["a list", []],
  ])("refuses %s", async (_what, body) => {
    const response = await ask(`${ORIGIN}/cdn-cgi/access/oauth/registration`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: expect.stringMatching(/^invalid_(client_metadata|redirect)/),
    });
  });

  it("refuses a body that is not JSON, and one without end", async () => {
    for (const body of ["{", `{"client_name": "${"x".repeat(100_000)}", "redirect_uris": ["${REDIRECT}"]}`]) {
      expect((await ask(`${ORIGIN}/cdn-cgi/access/oauth/registration`, { method: "POST", body })).status).toBe(400);
    }
  });
});

describe("a sign-in", () => {
  it("gives an opaque token, with which the Worker gets the person's assertion", async () => {
    const { tokens } = await signIn("alice");
    expect(tokens).toMatchObject({ token_type: "bearer", expires_in: ACCESS_TOKEN_SECONDS, resource: ORIGIN });
    expect(tokens.access_token).toMatch(/^oauth:[\w-]{43}$/);
    expect(await claimsOf(`${ORIGIN}/api/v1/pods`, bearer(tokens.access_token))).toMatchObject({
      email: "alice@example.com",
      aud: ["the-hosts"],
      custom: { groups: ["developers"] },
      exp: nowSeconds + ACCESS_TOKEN_SECONDS,
    });
  });

  it("counts for all host names of the application", async () => {
    const { tokens } = await signIn("bob", SECOND_ORIGIN);
    for (const origin of [ORIGIN, SECOND_ORIGIN]) {
      const claims = await claimsOf(`${origin}/version`, bearer(tokens.access_token));
      expect(claims).toMatchObject({ email: "bob@example.com" });
    }
  });

  it("does not count for the other application", async () => {
    const { tokens: alices } = await signIn("alice");
    const { tokens: admins } = await signIn("admin", ADMIN);
    expect((await ask(`${ADMIN}/sessions`, { headers: bearer(alices.access_token) })).status).toBe(401);
    expect((await ask(`${ORIGIN}/api/v1/pods`, { headers: bearer(admins.access_token) })).status).toBe(401);
    expect(await claimsOf(`${ADMIN}/sessions`, bearer(admins.access_token))).toMatchObject({ aud: ["the-admins"] });
  });

  it.each(["alice", "bob", "mallory"] as const)("of %s to the admin API is denied", async (persona) => {
    const begun = await begin({ login_hint: persona, resource: ADMIN });
    const location = await follow(begun);
    expect(location.href).toMatch(/^http:\/\/127\.0\.0\.1:49152\/callback\?error=access_denied&/);
    expect(() => callback(begun, location)).toThrow(refused("access_denied"));
  });

  it("shows a page to choose from, without a hint or with an unknown one", async () => {
    for (const hint of [undefined, "nobody"]) {
      const { address } = await begin({ login_hint: hint });
      const response = await ask(address.href);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      const links = [...(await response.text()).matchAll(/<a id="(\w+)" href="([^"]+)"/g)];
      expect(links.map(([, name]) => name)).toEqual(PERSONA_NAMES);
      const chosen = new URL((links[1]?.[2] ?? "").replaceAll("&#38;", "&"), ORIGIN);
      expect(chosen.searchParams.get("login_hint")).toBe("bob");
      expect((await ask(chosen.href)).headers.get("location")).toContain(`${REDIRECT}?code=`);
    }
  });

  it("shows a program's name as text", async () => {
    const { client_id } = await register({ client_name: '<img src=x onerror="alert(1)">' });
    const { address } = await begin({ client_id, login_hint: undefined });
    const html = await (await ask(address.href)).text();
    expect(html).not.toContain("<img");
    expect(html).toContain("&#60;img src=x onerror=&#34;");
  });

  it.each<[string, Record<string, string | undefined>]>([
    ["of an unknown program", { client_id: "unknown" }],
    ["to another address", { redirect_uri: "http://127.0.0.1:49152/other" }],
    ["to another port", { redirect_uri: "http://127.0.0.1:49153/callback" }],
    ["to another machine", { redirect_uri: "http://evil.example/callback" }],
    ["without an address", { redirect_uri: undefined }],
  ])("%s is refused on a page, and leads nowhere", async (_what, changes) => {
    const { address } = await begin(changes);
    const response = await ask(address.href);
    expect([response.status, response.headers.get("location")]).toEqual([400, null]);
  });

  it("with a parameter twice is refused on a page", async () => {
    const { address } = await begin();
    address.searchParams.append("redirect_uri", REDIRECT);
    expect((await ask(address.href)).status).toBe(400);
  });

  it.each<[string, Record<string, string | undefined>, string]>([
    ["without PKCE", { code_challenge: undefined }, "invalid_request"],
    ["with plain PKCE", { code_challenge_method: "plain" }, "invalid_request"],
    ["with a challenge that is no hash", { code_challenge: "short" }, "invalid_request"],
    ["for a token at once", { response_type: "token" }, "unsupported_response_type"],
    ["without a resource", { resource: undefined }, "invalid_target"],
    ["for a resource elsewhere", { resource: "https://k8s.example.com" }, "invalid_target"],
    ["for a resource on another port", { resource: "https://127.0.0.1:8720" }, "invalid_target"],
    ["for a resource without TLS", { resource: "http://127.0.0.1:8719" }, "invalid_target"],
  ])("%s goes back with an error, and the state", async (_what, changes, error) => {
    const begun = await begin(changes);
    const location = await follow(begun);
    expect(() => callback(begun, location)).toThrow(refused(error));
    expect(location.searchParams.get("state")).toBe(begun.state);
  });
});

describe("a code", () => {
  it.each<[string, Parameters<typeof exchange>[2], string]>([
    ["with a wrong verifier", { verifier: oauth.generateRandomCodeVerifier() }, "invalid_grant"],
    ["with a verifier that is too short", { verifier: "short" }, "invalid_grant"],
    ["with another redirect address", { redirectUri: "http://127.0.0.1:49152/" }, "invalid_grant"],
    ["by another program", { client: { client_id: "another" } }, "invalid_grant"],
    ["for another resource", { resource: ADMIN }, "invalid_target"],
  ])("is refused %s, and then used up", async (_what, changes, error) => {
    const begun = await begin();
    const parameters = callback(begun, await follow(begun));
    await expect(exchange(begun, parameters, changes)).rejects.toThrow(refused(error));
    await expect(exchange(begun, parameters)).rejects.toThrow(refused("invalid_grant"));
  });

  it("is refused after a minute", async () => {
    const begun = await begin();
    const parameters = callback(begun, await follow(begun));
    nowSeconds += 60;
    await expect(exchange(begun, parameters)).rejects.toThrow(refused("invalid_grant"));
  });

  it("counts once: a second use takes the tokens away", async () => {
    const begun = await begin();
    const parameters = callback(begun, await follow(begun));
    const tokens = await exchange(begun, parameters, { resource: ORIGIN });
    await claimsOf(`${ORIGIN}/version`, bearer(tokens.access_token));
    await expect(exchange(begun, parameters)).rejects.toThrow(refused("invalid_grant"));
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(tokens.access_token) })).status).toBe(401);
    await expect(refresh(begun, tokens.refresh_token)).rejects.toThrow(refused("invalid_grant"));
  });

  it("is exchanged by a form only", async () => {
    const { server } = await begin();
    const response = await ask(server.token_endpoint ?? "", { method: "POST", body: "{}" });
    expect([response.status, await response.json()]).toMatchObject([400, { error: "invalid_request" }]);
    const query = await ask(`${server.token_endpoint}?grant_type=authorization_code`);
    expect([query.status, query.headers.get("allow")]).toEqual([405, "POST"]);
  });
});

describe("an access token", () => {
  it("expires, and is renewed by the refresh token, which changes", async () => {
    const signedIn = await signIn("alice");
    const { access_token: old, refresh_token: first } = signedIn.tokens;
    nowSeconds += ACCESS_TOKEN_SECONDS - 1;
    await claimsOf(`${ORIGIN}/version`, bearer(old));
    nowSeconds += 1;
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(old) })).status).toBe(401);
    const renewed = await refresh(signedIn, first);
    expect(renewed.refresh_token).not.toBe(first);
    expect(await claimsOf(`${ORIGIN}/version`, bearer(renewed.access_token))).toMatchObject({
      email: "alice@example.com",
      exp: nowSeconds + ACCESS_TOKEN_SECONDS,
    });
    await claimsOf(`${ORIGIN}/version`, bearer((await refresh(signedIn, renewed.refresh_token)).access_token));
  });

  it("is not what renews it, and the other way round", async () => {
    const signedIn = await signIn("alice");
    const { access_token, refresh_token = "" } = signedIn.tokens;
    await expect(refresh(signedIn, access_token)).rejects.toThrow(refused("invalid_grant"));
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(refresh_token) })).status).toBe(401);
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(`oauth:${refresh_token}`) })).status).toBe(401);
  });

  it("is revoked with its sign-in, or by itself", async () => {
    const signedIn = await signIn("alice");
    await revoke(signedIn, signedIn.tokens.access_token);
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(signedIn.tokens.access_token) })).status).toBe(401);
    const renewed = await refresh(signedIn, signedIn.tokens.refresh_token);
    await revoke(signedIn, renewed.refresh_token);
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(renewed.access_token) })).status).toBe(401);
    await expect(refresh(signedIn, renewed.refresh_token)).rejects.toThrow(refused("invalid_grant"));
  });
});

describe("a refresh token", () => {
  it("counts once: a second use ends the sign-in", async () => {
    const signedIn = await signIn("alice");
    const renewed = await refresh(signedIn, signedIn.tokens.refresh_token);
    await expect(refresh(signedIn, signedIn.tokens.refresh_token)).rejects.toThrow(refused("invalid_grant"));
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(renewed.access_token) })).status).toBe(401);
    await expect(refresh(signedIn, renewed.refresh_token)).rejects.toThrow(refused("invalid_grant"));
  });

  it("counts once, also for two requests at the same moment", async () => {
    const signedIn = await signIn("alice");
    const both = await Promise.allSettled([1, 2].map(() => refresh(signedIn, signedIn.tokens.refresh_token)));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("is of one program", async () => {
    const signedIn = await signIn("alice");
    const other = { ...signedIn, client: await register() };
    await expect(refresh(other, signedIn.tokens.refresh_token)).rejects.toThrow(refused("invalid_grant"));
    await expect(revoke(other, signedIn.tokens.refresh_token)).rejects.toThrow();
    await refresh(signedIn, signedIn.tokens.refresh_token);
  });

  it("ends with its sign-in, after two weeks", async () => {
    const signedIn = await signIn("alice");
    nowSeconds += 14 * 24 * 60 * 60 - 1;
    const last = await refresh(signedIn, signedIn.tokens.refresh_token);
    expect(last.expires_in).toBe(1);
    nowSeconds += 1;
    await expect(refresh(signedIn, last.refresh_token)).rejects.toThrow(refused("invalid_grant"));
  });

  it("is judged by the policies again, but what was issued before goes on to its end", async () => {
    const alice = await signIn("alice");
    const bob = await signIn("bob");
    front.policies.set("host", "alice", false);
    await claimsOf(`${ORIGIN}/version`, bearer(bob.tokens.access_token));
    await refresh(bob, bob.tokens.refresh_token);
    await claimsOf(`${ORIGIN}/version`, bearer(alice.tokens.access_token));
    await expect(refresh(alice, alice.tokens.refresh_token)).rejects.toThrow(refused("invalid_grant"));
  });

  it("is worth nothing once an administrator has ended the sign-in", async () => {
    const alice = await signIn("alice");
    const bob = await signIn("bob");
    front.oauth.revokeAll("alice");
    expect((await ask(`${ORIGIN}/version`, { headers: bearer(alice.tokens.access_token) })).status).toBe(401);
    await expect(refresh(alice, alice.tokens.refresh_token)).rejects.toThrow(refused("invalid_grant"));
    await refresh(bob, bob.tokens.refresh_token);
  });
});

describe("a service token", () => {
  it("passes to the clusters, and not to the admin API", async () => {
    const headers = service(SERVICE.clientId, SERVICE.clientSecret);
    const claims = await claimsOf(`${ORIGIN}/api/v1/pods`, headers);
    expect(claims).toMatchObject({ common_name: "ci.access", sub: "", aud: ["the-hosts"] });
    expect(claims).not.toHaveProperty("email");
    expect((await ask(`${ADMIN}/sessions`, { headers })).status).toBe(401);
  });
});

describe("a browser", () => {
  const navigation = { "Sec-Fetch-Mode": "navigate", Accept: "text/html,*/*" };

  it.each<[string, string, Record<string, string>]>([
    ["that says so", ORIGIN, navigation],
    ["of an older kind", ORIGIN, { Accept: "text/html,application/xhtml+xml" }],
    ["at the other host name", SECOND_ORIGIN, navigation],
  ])("%s is sent to sign in, and back with a cookie", async (_what, origin, headers) => {
    const toLogin = await ask(`${origin}/-/whoami?a=b`, { headers });
    expect(toLogin.status).toBe(302);
    const login = new URL(toLogin.headers.get("location") ?? "");
    expect((await ask(login.href)).status).toBe(200);
    login.searchParams.set("login_hint", "alice");
    const back = await ask(login.href);
    expect([back.status, back.headers.get("location")]).toEqual([302, `${origin}/-/whoami?a=b`]);
    const cookie = back.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/; Path=\/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax$/);
    const claims = await claimsOf(`${origin}/-/whoami?a=b`, { Cookie: `other=1; ${cookie.split(";")[0]}` });
    expect(claims).toMatchObject({ email: "alice@example.com", aud: ["the-hosts"] });
  });

  it("that is a page's script, or opens a WebSocket, is refused in place", async () => {
    for (const mode of ["cors", "no-cors", "websocket", "same-origin"]) {
      const headers = { "Sec-Fetch-Mode": mode, Accept: "text/html" };
      expect((await ask(`${ORIGIN}/-/whoami`, { headers })).status, mode).toBe(401);
    }
  });

  it("signs in to the admin API apart, if somebody is admitted there", async () => {
    const login = new URL((await ask(ADMIN, { headers: navigation })).headers.get("location") ?? "");
    login.searchParams.set("login_hint", "mallory");
    expect((await ask(login.href)).status).toBe(403);
    login.searchParams.set("login_hint", "admin");
    const [cookie = ""] = ((await ask(login.href)).headers.get("set-cookie") ?? "").split(";");
    expect(await claimsOf(ADMIN, { Cookie: cookie })).toMatchObject({ aud: ["the-admins"] });
    expect((await ask(`${ORIGIN}/-/whoami`, { headers: { Cookie: cookie } })).status).toBe(401);
  });

  it.each(["https://evil.example/", "//evil.example/", "/\\evil.example", "whoami", "/\t/evil.example"])(
    "is never sent to %j",
    async (target) => {
      const login = `${ORIGIN}/cdn-cgi/access/login/127.0.0.1:8719?login_hint=alice&redirect_url=`;
      const response = await ask(login + encodeURIComponent(target));
      expect([response.status, response.headers.get("set-cookie")]).toEqual([400, null]);
    },
  );

  it("is out after a day", async () => {
    const login = `${ORIGIN}/cdn-cgi/access/login/127.0.0.1:8719?login_hint=alice&redirect_url=/`;
    const [cookie = ""] = ((await ask(login)).headers.get("set-cookie") ?? "").split(";");
    await claimsOf(ORIGIN, { Cookie: cookie });
    nowSeconds += 24 * 60 * 60;
    expect((await ask(ORIGIN, { headers: { Cookie: cookie } })).status).toBe(401);
  });
});

function service(clientId: string, clientSecret: string): Record<string, string> {
  return { "CF-Access-Client-Id": clientId, "CF-Access-Client-Secret": clientSecret };
}

/** @returns the challenge as oauth4webapi reads it */
async function challengeAt(address: string): Promise<oauth.WWWAuthenticateChallenge> {
  const asked = oauth.protectedResourceRequest("oauth:made-up", "GET", new URL(address), undefined, null, through);
  const thrown = await asked.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof oauth.WWWAuthenticateChallengeError)) throw new Error(`${address}: no challenge`);
  const [challenge, ...others] = thrown.cause;
  if (!challenge || others.length > 0) throw new Error(`${address}: not one challenge`);
  return challenge;
}
