/** What the plugin believes of a server that says how to sign in, and of an authorization server's answers. */
import { describe, expect, it } from "vitest";
import { applicationAt } from "../../../cli/application.ts";
import { PluginFailure } from "../../../cli/failure.ts";
import type { HttpRequest } from "../../../cli/net/https.ts";
import { discover } from "../../../cli/oauth/discover.ts";
import { renew, revoke } from "../../../cli/oauth/refresh.ts";
import type { CompleteRecord } from "../../../cli/store/store.ts";

const HOST = "https://k8s.example.com";
const METADATA = `${HOST}/.well-known/oauth-protected-resource`;
const AS_METADATA = `${HOST}/.well-known/oauth-authorization-server`;

const json = (body: unknown, status = 200) => Response.json(body, { status });
const challenge = (resourceMetadata = METADATA) =>
  new Response(null, {
    status: 401,
    headers: { "www-authenticate": `Bearer error="invalid_token", resource_metadata="${resourceMetadata}"` },
  });

const SERVER = {
  issuer: HOST,
  authorization_endpoint: `${HOST}/authorize`,
  token_endpoint: `${HOST}/token`,
  registration_endpoint: `${HOST}/register`,
};
const RESOURCE = { resource: HOST, authorization_servers: [HOST] };

type Answers = Readonly<Record<string, () => Response>>;

const GOOD: Answers = {
  [`${HOST}/-/whoami`]: () => challenge(),
  [METADATA]: () => json(RESOURCE),
  [AS_METADATA]: () => json(SERVER),
};

/** Asks a server that answers so. What was asked, in order, is in the result. */
async function discoverAt(answers: Answers) {
  const asked: string[] = [];
  const application = applicationAt(HOST);
  if (!application.ok) throw new Error(application.error);
  const found = await discover(application.value, async (url: string, { headers }: HttpRequest) => {
    asked.push(url);
    expect(Object.keys(headers).map((name) => name.toLowerCase())).not.toContain("authorization");
    return answers[url]?.() ?? new Response("not found", { status: 404 });
  }).catch((error: unknown) => error);
  return { found, asked };
}

const failureOf = ({ found }: { found: unknown }) => {
  if (!(found instanceof PluginFailure)) throw new Error(`found ${JSON.stringify(found)}`);
  return { code: found.code, message: found.message };
};

describe("a server's metadata", () => {
  it("leads from the challenge to the authorization server", async () => {
    const { found, asked } = await discoverAt(GOOD);
    expect(found).toMatchObject({ resource: HOST, server: { token_endpoint: `${HOST}/token` } });
    expect(asked).toEqual([`${HOST}/-/whoami`, METADATA, AS_METADATA]);
  });

  it("may be of a team's domain, as RFC 9728 allows", async () => {
    const team = "https://team.cloudflareaccess.com";
    const { found } = await discoverAt({
      ...GOOD,
      [METADATA]: () => json({ ...RESOURCE, authorization_servers: [team] }),
      [`${team}/.well-known/oauth-authorization-server`]: () => json({ ...SERVER, issuer: team }),
    });
    expect(found).toMatchObject({ server: { issuer: team } });
  });

  it("is looked for where Access documents it, if the challenge does not name it", async () => {
    const bare = () => new Response(null, { status: 401, headers: { "www-authenticate": "Bearer" } });
    expect(await discoverAt({ ...GOOD, [`${HOST}/-/whoami`]: bare })).toMatchObject({
      found: { resource: HOST },
      asked: [`${HOST}/-/whoami`, AS_METADATA],
    });
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
    ["it is about nothing", { [METADATA]: () => json({ authorization_servers: [HOST] }) }],
  ])("is refused where %s, and nothing more is asked", async (_, change) => {
    const result = await discoverAt({ ...GOOD, ...change });
    expect(failureOf(result).code).toBe("wrong_host");
    expect(result.asked).not.toContain(AS_METADATA);
  });

  it.each([
    ["names no authorization server", { [METADATA]: () => json({ resource: HOST }) }],
    [
      "names one without TLS",
      { [METADATA]: () => json({ ...RESOURCE, authorization_servers: ["http://k8s.example.com"] }) },
    ],
    ["names what is no address", { [METADATA]: () => json({ ...RESOURCE, authorization_servers: ["x"] }) }],
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
    [
      "JSON that is cut",
      "sign_in_failed",
      () => new Response('{"access_token": "oauth:new', { headers: { "content-type": "application/json" } }),
    ],
  ])("that gets %s says nothing about the grant, and shows no token", async (_, code, answer) => {
    const { result } = await renewAt(answer);
    expect(result).toMatchObject({ kind: "failed", failure: { code } });
    expect(JSON.stringify(result) + (result.kind === "failed" ? result.failure.stack : "")).not.toMatch(
      /secret|oauth:/,
    );
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
