import { createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { applicationAt } from "../../dev/access/applications.ts";
import { isLoopbackHost } from "../../dev/access/loopback.ts";
import { PERSONA_NAMES, PERSONAS } from "../../dev/access/personas.ts";
import { type AccessSettings, signAccessToken, TokenCache } from "../../dev/access/tokens.ts";

const NOW_SECONDS = 1_800_000_000;
const HOUR_SECONDS = 3_600;

let settings: AccessSettings;
beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const labels = { kid: "a-key", alg: "RS256", use: "sig" };
  const cert = { kid: "a-key", cert: "" };
  settings = {
    issuer: "http://127.0.0.1:8714",
    audiences: { host: "the-hosts", admin: "the-admins" },
    signingKey: { ...(await exportJWK(privateKey)), ...labels },
    certs: { keys: [{ ...(await exportJWK(publicKey)), ...labels }], public_cert: cert, public_certs: [cert] },
  };
});

describe("a token of the Access fake", () => {
  it("is valid, and has the claims of an Access application token", async () => {
    const subject = { kind: "person", persona: "alice" } as const;
    const expiresAtSeconds = NOW_SECONDS + 24 * HOUR_SECONDS;
    const request = { subject, application: "host", nowSeconds: NOW_SECONDS, expiresAtSeconds } as const;
    const token = await signAccessToken(request, settings);
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: [...settings.certs.keys] }), {
      algorithms: ["RS256"],
      issuer: settings.issuer,
      audience: settings.audiences.host,
      currentDate: new Date(NOW_SECONDS * 1000),
    });
    expect(protectedHeader).toMatchObject({ alg: "RS256", kid: "a-key" });
    expect(payload).toEqual({
      iss: settings.issuer,
      aud: ["the-hosts"],
      sub: PERSONAS.alice.sub,
      email: "alice@example.com",
      type: "app",
      iat: NOW_SECONDS,
      nbf: NOW_SECONDS,
      exp: NOW_SECONDS + 24 * HOUR_SECONDS,
      identity_nonce: expect.stringMatching(/^[0-9a-f]{16}$/),
      country: "XX",
      custom: { groups: ["developers"] },
    });
  });

  it("of a service has its client id, and nobody's address", async () => {
    const subject = { kind: "service", clientId: "ci.access" } as const;
    const times = { nowSeconds: NOW_SECONDS, expiresAtSeconds: NOW_SECONDS + 60 };
    const token = await signAccessToken({ subject, application: "host", ...times }, settings);
    expect(decodeJwt(token)).toEqual({
      iss: settings.issuer,
      aud: ["the-hosts"],
      sub: "",
      common_name: "ci.access",
      type: "app",
      iat: NOW_SECONDS,
      nbf: NOW_SECONDS,
      exp: NOW_SECONDS + 60,
    });
  });

  it("is cached per person and application, and renewed long before it expires", async () => {
    const cache = new TokenCache();
    const get = (who: "alice" | "bob", after = 0, application: "host" | "admin" = "host") =>
      cache.get(who, application, settings, NOW_SECONDS + after);
    const first = await get("alice");
    expect(await get("alice", 11 * HOUR_SECONDS)).toBe(first);
    expect(await get("bob")).not.toBe(first);
    expect(await get("alice", 12 * HOUR_SECONDS)).not.toBe(first);
    expect(decodeJwt(await get("alice", 0, "admin"))).toMatchObject({ aud: ["the-admins"] });
  });
});

describe("a path", () => {
  it.each(["/-/admin", "/-/admin/", "/-/admin/sessions", "/-/%61dmin/sessions", "/%2d/admin"])(
    "of the administrators' application is %s",
    (path) => expect(applicationAt(path)).toBe("admin"),
  );

  it.each(["/", "/-/whoami", "/-/administrators", "/api/v1/-/admin", "/-%2Fadmin/sessions", "/-/%2561dmin/sessions"])(
    "of the clusters' application is %s",
    (path) => expect(applicationAt(path)).toBe("host"),
  );
});

describe("the personas", () => {
  it("are four different people, alice first", () => {
    expect(PERSONA_NAMES).toEqual(["alice", "bob", "admin", "mallory"]);
    expect(new Set(Object.values(PERSONAS).map(({ sub }) => sub)).size).toBe(4);
    expect(new Set(Object.values(PERSONAS).map(({ email }) => email)).size).toBe(4);
  });
});

describe("the host of a request", () => {
  it.each(["127.0.0.1", "127.0.0.1:8710", "localhost:8710", "LOCALHOST", "[::1]:8710"])("may be %s", (host) => {
    expect(isLoopbackHost(host, `http://${host}/api`)).toBe(true);
  });

  it.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8710",
    "127.0.0.1, evil.example",
    "127.0.0.1@evil.example",
    "0.0.0.0:8710",
    "[::]:8710",
    "",
  ])("may not be %j", (host) => {
    expect(isLoopbackHost(host, "http://127.0.0.1:8710/")).toBe(false);
  });

  it("may not be missing, nor differ in an absolute request target", () => {
    expect(isLoopbackHost(null, "http://127.0.0.1:8710/")).toBe(false);
    expect(isLoopbackHost("127.0.0.1:8710", "http://evil.example/")).toBe(false);
  });
});
