import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
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
    audience: "an-audience",
    signingKey: { ...(await exportJWK(privateKey)), ...labels },
    certs: { keys: [{ ...(await exportJWK(publicKey)), ...labels }], public_cert: cert, public_certs: [cert] },
  };
});

describe("a token of the Access fake", () => {
  it("is valid, and has the claims of an Access application token", async () => {
    const token = await signAccessToken("alice", settings, NOW_SECONDS, "0123456789abcdef");
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: [...settings.certs.keys] }), {
      algorithms: ["RS256"],
      issuer: settings.issuer,
      audience: settings.audience,
      currentDate: new Date(NOW_SECONDS * 1000),
    });
    expect(protectedHeader).toMatchObject({ alg: "RS256", kid: "a-key" });
    expect(payload).toEqual({
      iss: settings.issuer,
      aud: ["an-audience"],
      sub: PERSONAS.alice.sub,
      email: "alice@example.com",
      type: "app",
      iat: NOW_SECONDS,
      nbf: NOW_SECONDS,
      exp: NOW_SECONDS + 24 * HOUR_SECONDS,
      identity_nonce: "0123456789abcdef",
      country: "XX",
      custom: { groups: ["developers"] },
    });
  });

  it("is cached per person, and renewed long before it expires", async () => {
    const cache = new TokenCache();
    const first = await cache.get("alice", settings, NOW_SECONDS);
    expect(await cache.get("alice", settings, NOW_SECONDS + 11 * HOUR_SECONDS)).toBe(first);
    expect(await cache.get("bob", settings, NOW_SECONDS)).not.toBe(first);
    expect(await cache.get("alice", settings, NOW_SECONDS + 12 * HOUR_SECONDS)).not.toBe(first);
  });
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
