import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadConfig } from "../../worker/config/load.ts";
import { createHandler } from "../../worker/handler.ts";
import { alice, HOST, TEAM, token } from "./people.ts";
import { expectStatus } from "./statuses.ts";

const PATH = "/api/v1/namespaces/demo/pods";
const BAD_TOKEN = "the Cloudflare Access token is not valid here: sign in again";
const EXPIRED = "the Cloudflare Access token has expired: sign in again";
const NO_TOKEN = "no Cloudflare Access token: sign in through Access (cloudflared or WARP) and try again";
const NO_PERSON = "the Cloudflare Access token names neither a person nor a service token";
const NO_KEYS =
  "Cloudflare Access tokens cannot be checked at the moment, its keys are out of reach: try again in a minute";

const now = Math.floor(Date.now() / 1000);
const CLAIMS: JWTPayload = {
  type: "app",
  iss: TEAM,
  aud: ["test-audience"],
  iat: now,
  nbf: now,
  exp: now + 3600,
  ...alice,
};

/** Everything that was written to the console in this test. */
let logged: string[];

beforeEach(() => {
  logged = [];
  for (const method of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, method).mockImplementation(
      (...words: unknown[]) => void logged.push(words.map(String).join(" ")),
    );
  }
});
afterEach(() => void vi.restoreAllMocks());

function present(assertion: string | undefined, headers: Record<string, string> = {}, path = PATH): Promise<Response> {
  return exports.default.fetch(request(assertion, headers, path));
}

function request(assertion: string | undefined, headers: Record<string, string> = {}, path = PATH): Request {
  return new Request(HOST + path, {
    headers: assertion === undefined ? headers : { ...headers, "Cf-Access-Jwt-Assertion": assertion },
  });
}

/** Expects the refusal, and that nobody can learn the token, or a part of it, from body or log. */
async function expectRefused(
  assertion: string,
  reason: "Unauthorized" | "Forbidden" | "ServiceUnavailable",
  message: string,
  response?: Response,
): Promise<void> {
  const body = await expectStatus(response ?? (await present(assertion)), reason, message);
  for (const part of assertion.split(".").filter((part) => part.length > 8)) {
    expect(body + logged.join("\n")).not.toContain(part);
  }
  expect(logged.join("\n")).not.toContain(alice["email"]);
}

const base64url = (value: unknown) =>
  btoa(typeof value === "string" ? value : JSON.stringify(value))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function signed(claims: JWTPayload, header: object = {}, key?: CryptoKey | Uint8Array): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "RS256", kid: "test-key", ...header })
    .sign(key ?? (await importJWK(env.TEST_SIGNING_KEY, "RS256")));
}

/** Signs texts as they stand: what no library would write. */
async function signedText(header: string, payload: string): Promise<string> {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const key = (await importJWK(env.TEST_SIGNING_KEY, "RS256")) as CryptoKey;
  const signature = await crypto.subtle.sign("RSASSA-PKCS1-v1_5", key, new TextEncoder().encode(input));
  return `${input}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}`;
}

function without(claim: string): JWTPayload {
  const { [claim]: _, ...rest } = CLAIMS;
  return rest;
}

describe("a token of Access lets its person in", () => {
  it("with the application's audience", async () => {
    const response = await present(await token(alice));
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ headers: { "impersonate-user": "alice@example.com" } });
  });

  it("with the second audience, alone or among others", async () => {
    expect((await present(await signed({ ...CLAIMS, aud: "second-audience" }))).status).toBe(200);
    expect((await present(await signed({ ...CLAIMS, aud: ["unknown", "second-audience"] }))).status).toBe(200);
  });

  it("whose clock is a little ahead or behind ours", async () => {
    expect((await present(await signed({ ...CLAIMS, nbf: now + 3, exp: now + 60 }))).status).toBe(200);
  });

  it("under the lower-case spelling of the address, which names their object and record", async () => {
    const response = await present(await token({ ...alice, email: "Alice@Example.COM" }));
    expect(await response.json()).toMatchObject({ headers: { "impersonate-user": "alice@example.com" } });
  });
});

describe("no token, no access", () => {
  it.each([
    ["nothing at all", {}],
    ["an empty header", { "Cf-Access-Jwt-Assertion": "" }],
  ])("with %s", async (_, headers) => {
    await expectStatus(await present(undefined, headers), "Unauthorized", NO_TOKEN);
  });

  it("with the token where it does not belong: cookie, Authorization, query", async () => {
    const good = await token(alice);
    const cookie = { Cookie: `CF_Authorization=${good}` };
    await expectRefused(good, "Unauthorized", NO_TOKEN, await present(undefined, cookie));
    const bearer = { Authorization: `Bearer ${good}` };
    await expectRefused(good, "Unauthorized", NO_TOKEN, await present(undefined, bearer));
    const query = await present(undefined, {}, `${PATH}?Cf-Access-Jwt-Assertion=${good}`);
    await expectRefused(good, "Unauthorized", NO_TOKEN, query);
  });

  it.each(["/-/admin/sessions", "/-/", "/-/nothing", "/healthz", "/version"])("at %s either", async (path) => {
    await expectStatus(await present(undefined, {}, path), "Unauthorized", NO_TOKEN);
  });

  it("but health can be asked by anybody", async () => {
    const response = await present(undefined, {}, "/-/healthz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });
});

describe("what is no token of this Access is refused", () => {
  it.each([
    ["garbage", "garbage"],
    ["three parts of nothing", ".."],
    ["parts that are no base64", "!!!.???.###"],
    ["parts that are no JSON", `${base64url("{")}.${base64url("}")}.AAAA`],
    ["an encrypted token", "aaaaaaaaaaaa.bbbbbbbbbbbb.cccccccccccc.dddddddddddd.eeeeeeeeeeee"],
    ["a header that is a list", `${base64url([])}.${base64url(CLAIMS)}.AAAA`],
  ])("%s", async (_, assertion) => {
    await expectRefused(assertion, "Unauthorized", BAD_TOKEN);
  });

  it.each(["none", "None", "nOnE", ""])("one that says it needs no signature (alg %j)", async (alg) => {
    const header = base64url({ alg, typ: "JWT", kid: "test-key" });
    await expectRefused(`${header}.${base64url(CLAIMS)}.`, "Unauthorized", BAD_TOKEN);
    await expectRefused(`${header}.${base64url(CLAIMS)}.AAAA`, "Unauthorized", BAD_TOKEN);
  });

  it("one whose signature was taken off, or replaced by another token's", async () => {
    const [header, , signature] = (await token(alice)).split(".");
    const admins = base64url({ ...CLAIMS, email: "admin@example.com" });
    await expectRefused(`${header}.${admins}.`, "Unauthorized", BAD_TOKEN);
    await expectRefused(`${header}.${admins}.${signature}`, "Unauthorized", BAD_TOKEN);
  });

  it("one signed by HMAC with the public key as the secret, in any of its spellings", async () => {
    const { kty = "", n = "", e = "" } = env.TEST_SIGNING_KEY;
    const pem = await exportSPKI((await importJWK({ kty, n, e }, "RS256", { extractable: true })) as CryptoKey);
    const spellings = [pem, pem.trim(), n, JSON.stringify({ kty, n, e })];
    for (const secret of spellings) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        const forged = await signed(CLAIMS, { alg }, new TextEncoder().encode(secret));
        await expectRefused(forged, "Unauthorized", BAD_TOKEN);
      }
    }
  });

  it("one of the right key by an algorithm that Access does not use", async () => {
    for (const alg of ["RS512", "PS256"]) {
      const { alg: _, ...jwk } = env.TEST_SIGNING_KEY;
      const forged = await signed(CLAIMS, { alg }, (await importJWK(jwk, alg)) as CryptoKey);
      await expectRefused(forged, "Unauthorized", BAD_TOKEN);
    }
  });

  it("one that names the right key and is signed by another", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    await expectRefused(await signed(CLAIMS, {}, privateKey), "Unauthorized", BAD_TOKEN);
    // Nor does a token bring its own key along, or say where to fetch it.
    const own = { jwk: await exportJWK(publicKey), jku: "https://evil.cloudflareaccess.com/cdn-cgi/access/certs" };
    await expectRefused(await signed(CLAIMS, own, privateKey), "Unauthorized", BAD_TOKEN);
    expect(await fetches("evil")).toBe(0);
  });

  it("one that names a key nobody knows, or something that is no key id", async () => {
    for (const kid of ["another-key", "../../test-key", "", "__proto__"]) {
      await expectRefused(await signed(CLAIMS, { kid }), "Unauthorized", BAD_TOKEN);
    }
  });

  it("one with a critical extension that is not understood", async () => {
    const header = base64url({ alg: "RS256", kid: "test-key", crit: ["policy"], policy: "x" });
    await expectRefused(`${header}.${base64url(CLAIMS)}.AAAA`, "Unauthorized", BAD_TOKEN);
  });

  it("two tokens at once", async () => {
    const good = await token(alice);
    await expectRefused(`${good}, ${good}`, "Unauthorized", BAD_TOKEN);
  });

  it("a huge one, valid or not, before any work is done on it; one under the limit is read", async () => {
    const padded = (chars: number) => signed({ ...CLAIMS, padding: "x".repeat(chars) });
    const huge = await padded(13_000);
    expect(huge.length).toBeGreaterThan(16 * 1024);
    await expectRefused(huge, "Unauthorized", BAD_TOKEN);
    const large = await padded(10_000);
    expect(large.length).toBeLessThan(16 * 1024);
    expect((await present(large)).status).toBe(200);
  });
});

describe("a rightly signed token is refused", () => {
  it.each<[string, JWTPayload, string]>([
    ["of another team", { ...CLAIMS, iss: "https://evil.cloudflareaccess.com" }, BAD_TOKEN],
    ["of a team whose name begins like ours", { ...CLAIMS, iss: `${TEAM}.evil.example` }, BAD_TOKEN],
    ["whose issuer has a slash too many", { ...CLAIMS, iss: `${TEAM}/` }, BAD_TOKEN],
    ["without an issuer", without("iss"), BAD_TOKEN],
    ["for another application", { ...CLAIMS, aud: ["other-audience"] }, BAD_TOKEN],
    ["whose audience only begins like ours", { ...CLAIMS, aud: "test-audience-2" }, BAD_TOKEN],
    ["for no application", { ...CLAIMS, aud: [] }, BAD_TOKEN],
    ["without an audience", without("aud"), BAD_TOKEN],
    ["that has expired", { ...CLAIMS, exp: now - 60 }, EXPIRED],
    ["that would never expire", without("exp"), BAD_TOKEN],
    ["whose expiry is no number", { ...CLAIMS, exp: "never" as unknown as number }, BAD_TOKEN],
    ["that is not valid yet", { ...CLAIMS, nbf: now + 600 }, BAD_TOKEN],
    ["that does not say when it was issued", without("iat"), BAD_TOKEN],
    ["without a subject", without("sub"), BAD_TOKEN],
    ["of the organisation, not of an application", { ...CLAIMS, type: "org" }, BAD_TOKEN],
    ["without a type", without("type"), BAD_TOKEN],
  ])("%s", async (_, claims, message) => {
    await expectRefused(await signed(claims), "Unauthorized", message);
  });

  it.each<[string, JWTPayload]>([
    ["of a service and of a person", { ...CLAIMS, sub: "", common_name: "ci.access" }],
    ["whose address is a service's name", { ...CLAIMS, email: "", common_name: "" }],
    ["of a service, with a subject", { ...without("email"), common_name: "ci.access" }],
    ["with an empty subject", { ...CLAIMS, sub: "" }],
    ["whose subject is an object", { ...CLAIMS, sub: { toString: "uid" } as unknown as string }],
    ["with an empty address", { ...CLAIMS, email: "" }],
    ["whose address is a list", { ...CLAIMS, email: ["alice@example.com"] }],
  ])("as naming no person: %s", async (_, claims) => {
    await expectRefused(await signed(claims), "Forbidden", NO_PERSON);
  });
});

it.each(["ci/../admin", "ci@example.com", "ci access", "x".repeat(200)])(
  "a service token of an odd common name is refused: %j",
  async (common_name) => {
    await expectRefused(await signed({ ...without("email"), sub: "", common_name }), "Unauthorized", BAD_TOKEN);
  },
);

describe("a rightly signed token that says things twice, or in another token", () => {
  const HEADER = JSON.stringify({ alg: "RS256", kid: "test-key" });

  /** The claims as JSON with some of them said again at the end. */
  const saidAgain = (again: string, claims: JWTPayload = CLAIMS) => `${JSON.stringify(claims).slice(0, -1)},${again}}`;

  it("is of whom it names last: there is one reading, from the email to the cluster", async () => {
    const twice = saidAgain('"email":"bob@viewers.example.com"', { ...CLAIMS, email: "admin@example.com" });
    const response = await present(await signedText(HEADER, twice));
    const { headers } = (await response.json()) as { headers: Record<string, string> };
    expect(headers).toMatchObject({
      "impersonate-user": "bob@viewers.example.com",
      "impersonate-group": "developers, oncall",
    });
  });

  it.each([
    ["another application last", saidAgain('"aud":["other-audience"]')],
    ["another team last", saidAgain('"iss":"https://evil.cloudflareaccess.com"')],
    ["the organisation's type last", saidAgain('"type":"org"')],
    ["its end last as long past", saidAgain('"exp":1')],
  ])("is refused with %s", async (_, payload) => {
    const response = await present(await signedText(HEADER, payload));
    expect(response.status).toBe(401);
  });

  it.each([
    ["no algorithm first", '{"alg":"none","alg":"RS256","kid":"test-key"}', 200],
    ["no algorithm last", '{"alg":"RS256","alg":"none","kid":"test-key"}', 401],
    ["another key last", '{"alg":"RS256","kid":"test-key","kid":"other-key"}', 401],
  ])("in its header: %s", async (_, header, status) => {
    const response = await present(await signedText(header, JSON.stringify(CLAIMS)));
    expect(response.status).toBe(status);
  });

  it("and one whose payload is a token, or no object, is no token", async () => {
    const inner = await token(alice);
    const nested = JSON.stringify({ alg: "RS256", kid: "test-key", cty: "JWT" });
    for (const payload of [inner, JSON.stringify(inner), "[]", "null", '"text"', ""]) {
      await expectRefused(await signedText(nested, payload), "Unauthorized", BAD_TOKEN);
    }
  });
});

describe("the key set", () => {
  const config = loadConfig(env.SALLYPORT_CONFIG);

  /** A Worker of its own, of a team whose domain behaves as its name says: see fakes/access.js. */
  function workerOf(behaviour: string) {
    const team = `${behaviour}-${crypto.randomUUID()}`;
    const iss = `https://${team}.cloudflareaccess.com`;
    const access = { ...config.access, teamDomain: iss };
    const handler = createHandler({ ...config, access });
    return { team, iss, handle: (request: Request) => handler(request, env, createExecutionContext()) };
  }

  it.each(["failing", "html", "not-keys", "gone"])(
    "that cannot be had (%s) lets nobody in, and says that it is not their fault",
    async (behaviour) => {
      const { iss, handle } = workerOf(behaviour);
      const good = await signed({ ...CLAIMS, iss });
      await expectRefused(good, "ServiceUnavailable", NO_KEYS, await handle(request(good)));
      expect(logged.join("\n")).toMatch(/^access: the key set cannot be used/);
    },
  );

  it("that does not come within 5 seconds lets nobody in", { timeout: 8_000 }, async () => {
    const { iss, handle } = workerOf("silent");
    const good = await signed({ ...CLAIMS, iss });
    await expectRefused(good, "ServiceUnavailable", NO_KEYS, await handle(request(good)));
  });

  it("is asked for again by the next request when it could not be had", async () => {
    const { team, iss, handle } = workerOf("failing");
    const good = await signed({ ...CLAIMS, iss });
    expect((await handle(request(good))).status).toBe(503);
    expect((await handle(request(good))).status).toBe(503);
    expect(await fetches(team)).toBe(2);
  });

  it("is fetched once for many requests", async () => {
    const { team, iss, handle } = workerOf("steady");
    const good = await signed({ ...CLAIMS, iss });
    // The first alone: a request may not wait for another one's fetch in Workers, so each of a cold start's does its own.
    expect((await handle(request(good))).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 5 }, () => handle(request(good))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await fetches(team)).toBe(1);
  });

  it("is not asked for by tokens that can be refused without it", async () => {
    const { team, handle } = workerOf("steady");
    for (const bad of [undefined, "garbage", `${base64url({ alg: "none" })}.${base64url(CLAIMS)}.`]) {
      expect((await handle(request(bad))).status).toBe(401);
    }
    expect(await fetches(team)).toBe(0);
  });

  it("is not fetched for each unknown key id within the cool-down, however many come", async () => {
    const { team, iss, handle } = workerOf("steady");
    expect((await handle(request(await signed({ ...CLAIMS, iss })))).status).toBe(200);
    for (let i = 0; i < 10; i++) {
      const response = await handle(request(await signed({ ...CLAIMS, iss }, { kid: `made-up-${i}` })));
      expect(response.status).toBe(401);
    }
    expect(await fetches(team)).toBe(1);
  });

  it("is not asked about a token that was verified a moment ago, but its times are looked at each time", async () => {
    const { iss, handle } = workerOf("steady");
    const verify = vi.spyOn(crypto.subtle, "verify");
    const now = Math.floor(Date.now() / 1000);
    const good = await signed({ ...CLAIMS, iss, exp: now + 20 });
    for (let i = 0; i < 3; i++) expect((await handle(request(good))).status).toBe(200);
    expect(verify).toHaveBeenCalledTimes(1);

    const [header, payload, signature = ""] = good.split(".");
    const forged = `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
    expect((await handle(request(forged))).status).toBe(401);
    expect((await handle(request(`${good} `))).status).toBe(200);

    vi.useFakeTimers({ toFake: ["Date"], now: (now + 26) * 1000 });
    try {
      expect((await handle(request(good))).status).toBe(401);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not asked about a token that is spelled in another way, with spaces for one: each would be kept apart", async () => {
    const { iss, handle } = workerOf("spelled");
    const good = await signed({ ...CLAIMS, iss });
    expect((await handle(request(good))).status).toBe(200);
    for (const spelled of [
      `${good.slice(0, -9)} ${good.slice(-9)}`,
      `${good}=`,
      `${good}==`,
      `${good.slice(0, -9)}\t${good.slice(-9)}`,
    ]) {
      expect((await handle(request(spelled))).status).toBe(401);
    }
  });

  it("is fetched again for a new key after the cool-down, and the old key goes with it", async () => {
    const { team, iss, handle } = workerOf("rotating");
    const old = await signed({ ...CLAIMS, iss });
    expect((await handle(request(old))).status).toBe(200);

    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    await publish(team, { ...(await exportJWK(publicKey)), kid: "new-key", alg: "RS256", use: "sig" });
    const fresh = await signed({ ...CLAIMS, iss }, { kid: "new-key" }, privateKey);
    expect((await handle(request(fresh))).status).toBe(401);

    const later = Date.now() + 31_000;
    vi.spyOn(Date, "now").mockImplementation(() => later);
    expect((await handle(request(fresh))).status).toBe(200);
    expect((await handle(request(old))).status).toBe(401);
    expect(await fetches(team)).toBe(2);
  });

  it("is fetched again after 10 minutes, so that a key taken out of it does not stay good", async () => {
    const { team, iss, handle } = workerOf("retiring");
    const stolen = await signed({ ...CLAIMS, iss });
    expect((await handle(request(stolen))).status).toBe(200);
    const { publicKey } = await generateKeyPair("RS256", { extractable: true });
    await publish(team, { ...(await exportJWK(publicKey)), kid: "new-key", alg: "RS256", use: "sig" });
    const later = Date.now() + 10 * 60_000 + 1;
    vi.spyOn(Date, "now").mockImplementation(() => later);
    expect((await handle(request(stolen))).status).toBe(401);
  });
});

describe("a poisoned key set", () => {
  const config = loadConfig(env.SALLYPORT_CONFIG);
  const { kty = "", n = "", e = "" } = env.TEST_SIGNING_KEY;
  const good = { kty, n, e, kid: "test-key", alg: "RS256", use: "sig" };
  const SECRET = new Uint8Array(64).fill(7);
  const oct = { kty: "oct", k: base64url(String.fromCharCode(...SECRET)), kid: "test-key" };

  /** What a Worker whose team serves this set answers to the token. */
  async function answer(keys: unknown, make: (iss: string) => Promise<string>): Promise<Response> {
    const team = `poisoned-${crypto.randomUUID()}`;
    const iss = `https://${team}.cloudflareaccess.com`;
    await publishAll(team, keys);
    const handle = createHandler({ ...config, access: { ...config.access, teamDomain: iss } });
    return handle(request(await make(iss)), env, createExecutionContext());
  }

  const rightly = (iss: string) => signed({ ...CLAIMS, iss });

  it.each<[string, unknown]>([
    ["a shared secret", [{ ...oct, alg: "HS256" }]],
    ["a shared secret that calls itself RS256", [{ ...oct, alg: "RS256" }]],
    ["a key for no algorithm", [{ ...oct, alg: "none" }]],
  ])("with %s makes nobody's HMAC a signature", async (_, keys) => {
    for (const alg of ["HS256", "HS512"]) {
      const response = await answer(keys, (iss) => signed({ ...CLAIMS, iss }, { alg }, SECRET));
      expect(response.status).toBe(401);
    }
    const unsigned = await answer(
      keys,
      async (iss) => `${base64url({ alg: "none", kid: "test-key" })}.${base64url({ ...CLAIMS, iss })}.`,
    );
    expect(unsigned.status).toBe(401);
    expect((await answer(keys, rightly)).status).toBe(401);
  });

  it.each<[string, object]>([
    ["none", { alg: "none" }],
    ["HS256", { alg: "HS256" }],
    ["RS512", { alg: "RS512" }],
    ["encryption only", { use: "enc" }],
    ["operations other than verifying", { key_ops: ["encrypt"] }],
  ])("whose right key is for %s verifies nothing", async (_, labels) => {
    expect((await answer([{ ...good, ...labels }], rightly)).status).toBe(401);
  });

  it("with an attacker's key of the same id beside the right one verifies neither's tokens", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    const theirs = { ...(await exportJWK(publicKey)), kid: "test-key", alg: "RS256", use: "sig" };
    for (const keys of [
      [good, theirs],
      [theirs, good],
    ]) {
      expect((await answer(keys, (iss) => signed({ ...CLAIMS, iss }, {}, privateKey))).status).toBe(401);
      expect((await answer(keys, rightly)).status).toBe(401);
      // Without a key id either would be tried.
      const anonymous = (iss: string) => signed({ ...CLAIMS, iss }, { kid: undefined }, privateKey);
      expect((await answer(keys, anonymous)).status).toBe(401);
    }
  });

  it.each<[string, unknown]>([
    ["a key without its modulus", [{ ...good, n: undefined }]],
    ["a key whose modulus is no base64", [{ ...good, n: "!!!" }]],
    ["a key of 512 bits", [{ ...good, n: base64url(String.fromCharCode(...new Uint8Array(64).fill(0xc1))) }]],
    ["an exponent of nothing", [{ ...good, e: "" }]],
    [
      "a key of another family under the same id",
      [{ kty: "EC", crv: "P-256", x: n.slice(0, 43), y: n.slice(0, 43), kid: "test-key" }],
    ],
    ["nothing in it", []],
    ["something that is no key", [null]],
    ["a text for a list", "keys"],
    ["an object for a list", { length: 1, 0: good }],
  ])("with %s lets nobody in", async (_, keys) => {
    const response = await answer(keys, rightly);
    expect([401, 503]).toContain(response.status);
    expect(logged.join("\n")).not.toContain(n.slice(0, 20));
  });

  it("of thousands of keys is read as well, and a token that names none of them is refused in time", async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ({ ...good, kid: `key-${index}` }));
    const began = performance.now();
    expect((await answer([...many, good], rightly)).status).toBe(200);
    expect((await answer(many, rightly)).status).toBe(401);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe("keys that are rotated while requests come", () => {
  it("lets in the old key's tokens as long as both are published, and the new key's once they are known", async () => {
    const team = `overlapping-${crypto.randomUUID()}`;
    const iss = `https://${team}.cloudflareaccess.com`;
    const config = loadConfig(env.SALLYPORT_CONFIG);
    const handle = createHandler({ ...config, access: { ...config.access, teamDomain: iss } });
    const { kty = "", n = "", e = "" } = env.TEST_SIGNING_KEY;
    const before = { kty, n, e, kid: "test-key", alg: "RS256", use: "sig" };
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    const after = { ...(await exportJWK(publicKey)), kid: "new-key", alg: "RS256", use: "sig" };
    const old = await signed({ ...CLAIMS, iss });
    const fresh = await signed({ ...CLAIMS, iss }, { kid: "new-key" }, privateKey);
    const statuses = (tokens: readonly string[]) =>
      Promise.all(tokens.map(async (each) => (await handle(request(each), env, createExecutionContext())).status));
    expect(await statuses([old])).toEqual([200]);

    await publishAll(team, [before, after]);
    const later = Date.now() + 31_000;
    vi.spyOn(Date, "now").mockImplementation(() => later);
    // All at once, while the set is being fetched: nobody gets through by it, and nobody falls.
    expect(await statuses([old, fresh, old, fresh, old, fresh])).toEqual([200, 200, 200, 200, 200, 200]);

    await publishAll(team, [after]);
    vi.spyOn(Date, "now").mockImplementation(() => later + 10 * 60_000 + 1);
    expect(await statuses([fresh])).toEqual([200]);
    expect(await statuses([old, fresh, old, fresh])).toEqual([401, 200, 401, 200]);
    // What the old key signs with the new key's id, and the other way round, is a forgery.
    const crossed = [
      await signed({ ...CLAIMS, iss }, { kid: "new-key" }),
      await signed({ ...CLAIMS, iss }, {}, privateKey),
    ];
    expect(await statuses(crossed)).toEqual([401, 401]);
  });
});

async function fetches(team: string): Promise<number> {
  return (await fetch(`https://${team}.cloudflareaccess.com/control/fetches`)).json();
}

function publish(team: string, key: JWK): Promise<void> {
  return publishAll(team, [key]);
}

async function publishAll(team: string, keys: unknown): Promise<void> {
  const body = JSON.stringify({ keys });
  await fetch(`https://${team}.cloudflareaccess.com/control/keys`, { method: "PUT", body });
}
