/**
 * What the plugin believes of a server that says how to sign in, and of an authorization server's answers.
 */
import { describe, expect, it } from "vitest";
import { applicationAt } from "../../../cli/application.ts";
import { renderExecCredential } from "../../../cli/exec-info.ts";
import { PluginFailure } from "../../../cli/failure.ts";
import type { HttpRequest } from "../../../cli/net/https.ts";
import { discover } from "../../../cli/oauth/discover.ts";
import { isTrustedIssuer } from "../../../cli/oauth/issuer.ts";
import { renew, revoke } from "../../../cli/oauth/refresh.ts";
import type { CompleteRecord } from "../../../cli/store/store.ts";

const HOST = "https://k8s.example.com";
const TEAM = "https://team.cloudflareaccess.com";
const METADATA = `${HOST}/.well-known/oauth-protected-resource`;
const AS_METADATA = `${TEAM}/.well-known/oauth-authorization-server`;
/** Where Access documents it, on the application's own host name. */
const OWN_AS_METADATA = `${HOST}/.well-known/oauth-authorization-server`;

const json = (body: unknown, status = 200) => Response.json(body, { status });
const text = (body: string) => new Response(body, { headers: { "content-type": "application/json" } });
const challenge = (resourceMetadata = METADATA) =>
  new Response(null, {
    status: 401,
    headers: { "www-authenticate": `Bearer error="invalid_token", resource_metadata="${resourceMetadata}"` },
  });

const serverAt = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  registration_endpoint: `${issuer}/register`,
});
const SERVER = serverAt(TEAM);
const RESOURCE = { resource: HOST, authorization_servers: [TEAM] };

type Answers = Readonly<Record<string, () => Response>>;

const GOOD: Answers = {
  [`${HOST}/-/whoami`]: () => challenge(),
  [METADATA]: () => json(RESOURCE),
  [AS_METADATA]: () => json(SERVER),
};

/** Asks a server that answers so. What was asked, in order, is in the result. */
async function discoverAt(answers: Answers, trustedIssuer?: string) {
  const asked: string[] = [];
  const application = applicationAt(HOST);
  if (!application.ok) throw new Error(application.error);
  const fetch = async (url: string, { headers }: HttpRequest) => {
    asked.push(url);
    expect(Object.keys(headers).map((name) => name.toLowerCase())).not.toContain("authorization");
    return answers[url]?.() ?? new Response("not found", { status: 404 });
  };
  const found = await discover(application.value, fetch, trustedIssuer).catch((error: unknown) => error);
  return { found, asked };
}

const failureOf = ({ found }: { found: unknown }) => {
  if (!(found instanceof PluginFailure)) throw new Error(`found ${JSON.stringify(found)}`);
  return { code: found.code, message: found.message };
};

describe("a server's metadata", () => {
  it("leads from the challenge to the authorization server", async () => {
    const { found, asked } = await discoverAt(GOOD);
    expect(found).toMatchObject({ resource: HOST, server: { token_endpoint: `${TEAM}/token` } });
    expect(asked).toEqual([`${HOST}/-/whoami`, METADATA, AS_METADATA]);
  });

  it("is looked for where Access documents it, if the challenge does not name it", async () => {
    const bare = () => new Response(null, { status: 401, headers: { "www-authenticate": "Bearer" } });
    const answers = { ...GOOD, [`${HOST}/-/whoami`]: bare, [OWN_AS_METADATA]: () => json(SERVER) };
    expect(await discoverAt(answers)).toMatchObject({
      found: { resource: HOST, server: { issuer: TEAM } },
      asked: [`${HOST}/-/whoami`, OWN_AS_METADATA, AS_METADATA],
    });
    for (const body of [{}, null, { issuer: 7 }]) {
      const without = await discoverAt({ ...answers, [OWN_AS_METADATA]: () => json(body) });
      expect(failureOf(without).code).toBe("bad_metadata");
    }
  });

  it.each([
    ["the challenge names another host", { [`${HOST}/-/whoami`]: () => challenge("https://evil.example.com/x") }],
    [
      "the challenge names an address without TLS",
      { [`${HOST}/-/whoami`]: () => challenge(METADATA.replace("s:", ":")) },
    ],
    ["the challenge names no address", { [`${HOST}/-/whoami`]: () => challenge("x") }],
    ["it is about another host", { [METADATA]: () => json({ ...RESOURCE, resource: "https://evil.example.com" }) }],
    ["it is about another path", { [METADATA]: () => json({ ...RESOURCE, resource: `${HOST}/other` }) }],
    ["it is about nothing", { [METADATA]: () => json({ authorization_servers: [TEAM] }) }],
    // A page of that host could send the browser on to Access, and it would get the code (RFC 9700, section
    // 4.4).
    ["it names itself for the sign-in", { [METADATA]: () => json({ ...RESOURCE, authorization_servers: [HOST] }) }],
    [
      "it names somebody else's sign-in, whose token it would get",
      { [METADATA]: () => json({ ...RESOURCE, authorization_servers: ["https://login.example.net"] }) },
    ],
    [
      "it names a sign-in without TLS",
      { [METADATA]: () => json({ ...RESOURCE, authorization_servers: [TEAM.replace("s:", ":")] }) },
    ],
    ["it names what is no address", { [METADATA]: () => json({ ...RESOURCE, authorization_servers: ["x", 7] }) }],
  ])("is refused where %s, and nothing more is asked", async (_, change) => {
    const result = await discoverAt({ ...GOOD, ...change });
    expect(failureOf(result).code).toBe("wrong_host");
    expect(result.asked).not.toContain(AS_METADATA);
  });

  it.each([
    ["names no authorization server", { [METADATA]: () => json({ resource: HOST }) }],
    ["names one in no list", { [METADATA]: () => json({ ...RESOURCE, authorization_servers: TEAM }) }],
    ["is not there", { [METADATA]: () => new Response("", { status: 404 }) }],
    ["is no JSON", { [METADATA]: () => new Response("<html>") }],
    [
      "has an authorization server that is another one",
      { [AS_METADATA]: () => json({ ...SERVER, issuer: "https://x" }) },
    ],
    [
      "has an authorization server that redirects",
      { [AS_METADATA]: () => Response.redirect("https://evil.example.com") },
    ],
    ["has an authorization server without metadata", { [AS_METADATA]: () => new Response("", { status: 500 }) }],
  ])("is refused where it %s", async (_, change) => {
    expect(failureOf(await discoverAt({ ...GOOD, ...change })).code).toBe("bad_metadata");
  });

  it("takes the first authorization server that is Access's", async () => {
    const several = { ...RESOURCE, authorization_servers: ["https://login.example.net", TEAM] };
    expect(await discoverAt({ ...GOOD, [METADATA]: () => json(several) })).toMatchObject({
      found: { server: { issuer: TEAM } },
      asked: [`${HOST}/-/whoami`, METADATA, AS_METADATA],
    });
  });

  it("may name an authorization server that the person trusts, and no other", async () => {
    const own = {
      ...GOOD,
      [METADATA]: () => json({ ...RESOURCE, authorization_servers: [HOST] }),
      [OWN_AS_METADATA]: () => json(serverAt(HOST)),
    };
    expect(await discoverAt(own, HOST)).toMatchObject({ found: { server: { issuer: HOST } } });
    const refused = failureOf(await discoverAt(own, "https://login.example.net"));
    expect(refused).toEqual({ code: "wrong_host", message: expect.stringContaining("SALLYPORT_AUTHORIZATION_SERVER") });
  });

  it.each(["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"])(
    "is refused where its %s is at another host",
    async (name) => {
      for (const endpoint of [`${HOST}/x`, `${TEAM}:8443/x`, TEAM.replace("s:", ":"), 7, null]) {
        const result = await discoverAt({ ...GOOD, [AS_METADATA]: () => json({ ...SERVER, [name]: endpoint }) });
        expect(failureOf(result).code).toBe("wrong_host");
      }
    },
  );

  it.each([
    ["no_managed_oauth", "connect with WARP", () => Response.redirect("https://team.cloudflareaccess.com/login")],
    ["no_managed_oauth", "no Bearer challenge", () => json({}, 401)],
    ["signed_in_without_plugin", "--auth warp", () => json({})],
    ["access_refused", "status 403", () => json({}, 403)],
    ["access_refused", "status 503", () => json({}, 503)],
  ])("is not there: %s, %s", async (code, message, answer) => {
    const failure = failureOf(await discoverAt({ [`${HOST}/-/whoami`]: answer }));
    expect(failure).toEqual({ code, message: expect.stringContaining(message) });
  });
});

const record: CompleteRecord = {
  application: HOST,
  resource: HOST,
  issuer: HOST,
  tokenEndpoint: `${HOST}/token`,
  revocationEndpoint: `${HOST}/revoke`,
  client: { clientId: "client" },
  tokens: { accessToken: "oauth:access", refreshToken: "refresh-secret", obtainedAtMs: 0, expiresAtMs: 1 },
  origins: [],
};

describe("an authorization server", () => {
  it.each([
    [TEAM, HOST],
    ["https://team.fed.cloudflareaccess.com", HOST],
    ["https://127.0.0.1:8443", "https://127.0.0.1:8443"],
    ["https://127.0.0.1:8443", "https://second.localhost:8443"],
    ["https://[::1]:8443/-/admin", "https://localhost:8443"],
  ])("is trusted: %s for %s", (issuer, application) => {
    expect(isTrustedIssuer(issuer, application, undefined)).toBe(true);
  });

  it.each([
    [HOST, HOST],
    ["https://cloudflareaccess.com", HOST],
    ["https://team.cloudflareaccess.com.evil.example.com", HOST],
    ["https://evil-cloudflareaccess.com", HOST],
    ["https://team.cloudflareaccess.com:8443", HOST],
    ["https://user@team.cloudflareaccess.com", HOST],
    ["http://team.cloudflareaccess.com", HOST],
    ["https://127.0.0.1:8443", HOST],
    ["https://evil.example.com", "https://127.0.0.1:8443"],
    ["", HOST],
  ])("is not: %s for %s", (issuer, application) => {
    expect(isTrustedIssuer(issuer, application, undefined)).toBe(false);
    expect(isTrustedIssuer(issuer, application, "not an address")).toBe(false);
  });
});

const NOW = 1_800_000_000_000;

/** Renews at a server that answers so. @returns what came of it, and what was sent */
async function renewAt(answer: () => Response, from = record) {
  const sent: (HttpRequest & { readonly url: string })[] = [];
  const result = await renew(
    from,
    "refresh-secret",
    async (url, request) => {
      sent.push({ url, ...request });
      return answer();
    },
    NOW,
  );
  return { result, sent };
}

describe("a renewal", () => {
  const tokens = { access_token: "oauth:new", token_type: "bearer", expires_in: 900, refresh_token: "new-refresh" };

  it("sends the refresh token to the token endpoint, for the same resource", async () => {
    const { result, sent } = await renewAt(() => json(tokens));
    expect(result).toEqual({
      kind: "renewed",
      tokens: { accessToken: "oauth:new", refreshToken: "new-refresh", obtainedAtMs: NOW, expiresAtMs: NOW + 900_000 },
    });
    expect(sent.map(({ url, method }) => [method, url])).toEqual([["POST", `${HOST}/token`]]);
    expect(Object.fromEntries(new URLSearchParams(sent[0]?.body))).toEqual({
      grant_type: "refresh_token",
      refresh_token: "refresh-secret",
      client_id: "client",
      resource: HOST,
    });
  });

  it.each([
    ["client_secret_post", undefined, "the-secret"],
    ["client_secret_basic", expect.stringMatching(/^Basic /), null],
  ])("authenticates a client that was given a secret: %s", async (authMethod, authorization, secret) => {
    const client = { clientId: "client", clientSecret: "the-secret", authMethod };
    const { sent } = await renewAt(() => json(tokens), { ...record, client });
    expect(sent[0]?.headers["authorization"]).toEqual(authorization);
    expect(new URLSearchParams(sent[0]?.body).get("client_secret")).toBe(secret);
  });

  it.each(["invalid_grant", "invalid_client", "unauthorized_client"])(
    "that is refused with %s needs a sign-in",
    async (error) => {
      const { result } = await renewAt(() => json({ error, error_description: "it was revoked" }, 400));
      expect(result).toEqual({ kind: "ended", message: `${error} (it was revoked)` });
    },
  );

  it.each([
    ["a policy's refusal", "access_refused", () => json({ error: "access_denied", error_description: "no" }, 403)],
    ["another error", "sign_in_failed", () => json({ error: "invalid_target" }, 400)],
    ["an outage", "sign_in_failed", () => new Response("upstream secrets: refresh-secret", { status: 502 })],
    ["a page instead", "sign_in_failed", () => new Response("<html>refresh-secret", { status: 200 })],
    ["a redirect", "sign_in_failed", () => Response.redirect("https://evil.example.com")],
    ["an answer without a token", "sign_in_failed", () => json({ token_type: "bearer" })],
    ["another type of token", "sign_in_failed", () => json({ ...tokens, token_type: "mac" })],
    ["a negative lifetime", "sign_in_failed", () => json({ ...tokens, expires_in: -1 })],
    ["a lifetime that is no number", "sign_in_failed", () => json({ ...tokens, expires_in: "soon" })],
    ["a lifetime without an end", "sign_in_failed", () => text('{"access_token":"oauth:x","expires_in":1e999}')],
    ["JSON that is cut", "sign_in_failed", () => text('{"access_token": "oauth:new')],
  ])("that gets %s says nothing about the grant, and shows no token", async (_, code, answer) => {
    const { result } = await renewAt(answer);
    expect(result).toMatchObject({ kind: "failed", failure: { code } });
    expect(JSON.stringify(result) + (result.kind === "failed" ? result.failure.stack : "")).not.toMatch(
      /secret|oauth:/,
    );
  });

  it.each([
    ["absurdly long", 1e300, 31 * 24 * 60 * 60 * 1000],
    ["in a text, as some servers have it", "900", 900_000],
    ["over", 0, 0],
    ["in fractions", 0.5, 500],
  ])("whose lifetime is %s gets a time that every client can read", async (_, lifetime, ms) => {
    const { result } = await renewAt(() => json({ ...tokens, expires_in: lifetime }));
    expect(result).toMatchObject({ kind: "renewed", tokens: { expiresAtMs: NOW + ms } });
    if (result.kind !== "renewed") throw new Error(result.kind);
    const shown = renderExecCredential("client.authentication.k8s.io/v1", "t", result.tokens.expiresAtMs);
    expect(JSON.parse(shown).status.expirationTimestamp).toMatch(/^2027-0\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it("without an answer keeps the failure of the connection", async () => {
    const down = new PluginFailure("unreachable", "down");
    const { result } = await renewAt(() => {
      throw down;
    });
    expect(result).toEqual({ kind: "failed", failure: down });
  });
});

describe("a revocation", () => {
  const revokeAt = async (answer: () => Response, from = record) => {
    const sent: (string | undefined)[] = [];
    const failure = await revoke(from, from.tokens, async (_, { body }) => {
      sent.push(new URLSearchParams(body).get("token") ?? undefined);
      return answer();
    });
    return { failure, sent };
  };

  it("ends the refresh token, then the access token", async () => {
    expect(await revokeAt(() => new Response(null))).toEqual({
      failure: undefined,
      sent: ["refresh-secret", "oauth:access"],
    });
  });

  it("says why the grant may still hold", async () => {
    expect((await revokeAt(() => new Response("", { status: 503 }))).failure).toEqual(expect.any(String));
    const { revocationEndpoint: _, ...without } = record;
    expect((await revokeAt(() => new Response(null), without)).failure).toContain("no revocation endpoint");
  });
});
