import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { errors, exportJWK, exportSPKI, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createAuthenticator } from "../../worker/access/authenticate.ts";
import { loadConfig } from "../../worker/config/load.ts";
import { createHandler } from "../../worker/handler.ts";
import { alice, HOST, TEAM, token } from "./people.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";

const PATH = "/api/v1/namespaces/demo/pods";
const BAD_TOKEN = "the Cloudflare Access token is not valid here: sign in again";
const EXPIRED = "the Cloudflare Access token has expired: sign in again";
const NO_TOKEN = "no Cloudflare Access token: sign in through Access (cloudflared or WARP) and try again";
const NO_PERSON = "the Cloudflare Access token names neither a person nor a service token";
const NO_KEYS =
  "Cloudflare Access tokens cannot be verified at the moment, because the signing keys cannot be reached: " +
  "try again in a minute";

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

/** Everything that this test wrote to the console. */
let logged: string[];

beforeEach(() => {
  logged = [];
  for (const method of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, method).mockImplementation(
      (...parts: unknown[]) => void logged.push(parts.map(String).join(" ")),
    );
  }
});
afterEach(() => void vi.restoreAllMocks());

function present(assertion: string | undefined, headers: Record<string, string> = {}, path = PATH): Promise<Response> {
  return env.EDGE.fetch(request(assertion, headers, path));
}

function request(assertion: string | undefined, headers: Record<string, string> = {}, path = PATH): Request {
  return new Request(HOST + path, {
    headers: assertion === undefined ? headers : { ...headers, "Cf-Access-Jwt-Assertion": assertion },
  });
}

/** Expects the denial, and that neither the body nor the log has any part of the token. */
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

/** Signs exactly these texts, which no library would write. */
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

describe("a token of Access is accepted", () => {
  it("with the application's audience", async () => {
    const response = await present(await token(alice));
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ headers: { "impersonate-user": "alice@example.com" } });
  });

  it("with the second audience, alone or among others", async () => {
    expect((await present(await signed({ ...CLAIMS, aud: "second-audience" }))).status).toBe(200);
    expect((await present(await signed({ ...CLAIMS, aud: ["unknown", "second-audience"] }))).status).toBe(200);
  });

  it("if its clock is a little ahead or behind", async () => {
    expect((await present(await signed({ ...CLAIMS, nbf: now + 3, exp: now + 60 }))).status).toBe(200);
  });

  it("under the address in lower case, which names the object and the user in the audit log", async () => {
    const response = await present(await token({ ...alice, email: "Alice@Example.COM" }));
    expect(await response.json()).toMatchObject({ headers: { "impersonate-user": "alice@example.com" } });
  });
});

describe("without a token access is denied", () => {
  it.each([
    ["nothing at all", {}],
    ["an empty header", { "Cf-Access-Jwt-Assertion": "" }],
  ])("with %s", async (_, headers) => {
    await expectStatus(await present(undefined, headers), "Unauthorized", NO_TOKEN);
  });

  it("also if the token is in a cookie, in Authorization or in the query", async () => {
    const good = await token(alice);
    const cookie = { Cookie: `CF_Authorization=${good}` };
    await expectRefused(good, "Unauthorized", NO_TOKEN, await present(undefined, cookie));
    const bearer = { Authorization: `Bearer ${good}` };
    await expectRefused(good, "Unauthorized", NO_TOKEN, await present(undefined, bearer));
    const query = await present(undefined, {}, `${PATH}?Cf-Access-Jwt-Assertion=${good}`);
    await expectRefused(good, "Unauthorized", NO_TOKEN, query);
  });

  it.each(["/healthz", "/version"])("at %s", async (path) => {
    await expectStatus(await present(undefined, {}, path), "Unauthorized", NO_TOKEN);
  });

  it.each(["/-/admin/sessions", "/-/", "/-/nothing"])("at %s", async (path) => {
    await expectApiDenial(await present(undefined, {}, path), "no_token", NO_TOKEN);
  });

  it("except at the health check", async () => {
    const response = await present(undefined, {}, "/-/healthz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });
});

describe("anything but a token of this team is refused", () => {
  it.each([
    ["garbage", "garbage"],
    ["three empty parts", ".."],
    ["parts that are not base64", "!!!.???.###"],
    ["parts that are not JSON", `${base64url("{")}.${base64url("}")}.AAAA`],
    ["an encrypted token", "aaaaaaaaaaaa.bbbbbbbbbbbb.cccccccccccc.dddddddddddd.eeeeeeeeeeee"],
    ["a header that is a list", `${base64url([])}.${base64url(CLAIMS)}.AAAA`],
  ])("%s", async (_, assertion) => {
    await expectRefused(assertion, "Unauthorized", BAD_TOKEN);
  });

  it.each(["none", "None", "nOnE", ""])("a token that claims to need no signature (alg %j)", async (alg) => {
    const header = base64url({ alg, typ: "JWT", kid: "test-key" });
    await expectRefused(`${header}.${base64url(CLAIMS)}.`, "Unauthorized", BAD_TOKEN);
    await expectRefused(`${header}.${base64url(CLAIMS)}.AAAA`, "Unauthorized", BAD_TOKEN);
  });

  it("a token without its signature, or with the one of another token", async () => {
    const [header, , signature] = (await token(alice)).split(".");
    const admins = base64url({ ...CLAIMS, email: "admin@example.com" });
    await expectRefused(`${header}.${admins}.`, "Unauthorized", BAD_TOKEN);
    await expectRefused(`${header}.${admins}.${signature}`, "Unauthorized", BAD_TOKEN);
  });

  it("a token signed by HMAC with the public key, in any encoding, as the secret", async () => {
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

  it("a token signed with the right key by an algorithm that Access does not use", async () => {
    for (const alg of ["RS512", "PS256"]) {
      const { alg: _, ...jwk } = env.TEST_SIGNING_KEY;
      const forged = await signed(CLAIMS, { alg }, (await importJWK(jwk, alg)) as CryptoKey);
      await expectRefused(forged, "Unauthorized", BAD_TOKEN);
    }
  });

  it("a token that names the right key but is signed with another", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    await expectRefused(await signed(CLAIMS, {}, privateKey), "Unauthorized", BAD_TOKEN);
    // A token can neither contain its own key nor say where to fetch it.
    const own = { jwk: await exportJWK(publicKey), jku: "https://evil.cloudflareaccess.com/cdn-cgi/access/certs" };
    await expectRefused(await signed(CLAIMS, own, privateKey), "Unauthorized", BAD_TOKEN);
    expect(await fetches("evil")).toBe(0);
  });

  it("a token that names an unknown key, or an odd key id", async () => {
    for (const kid of ["another-key", "../../test-key", "", "__proto__"]) {
      await expectRefused(await signed(CLAIMS, { kid }), "Unauthorized", BAD_TOKEN);
    }
  });

  it("a token with an unknown critical extension", async () => {
    const header = base64url({ alg: "RS256", kid: "test-key", crit: ["policy"], policy: "x" });
    await expectRefused(`${header}.${base64url(CLAIMS)}.AAAA`, "Unauthorized", BAD_TOKEN);
  });

  it("two tokens in one header", async () => {
    const good = await token(alice);
    await expectRefused(`${good}, ${good}`, "Unauthorized", BAD_TOKEN);
  });

  it("a token above the limit, even if it is valid; one below it is read", async () => {
    const padded = (chars: number) => signed({ ...CLAIMS, padding: "x".repeat(chars) });
    const huge = await padded(13_000);
    expect(huge.length).toBeGreaterThan(16 * 1024);
    await expectRefused(huge, "Unauthorized", BAD_TOKEN);
    const large = await padded(10_000);
    expect(large.length).toBeLessThan(16 * 1024);
    expect((await present(large)).status).toBe(200);
  });
});

describe("a correctly signed token is refused", () => {
  it.each<[string, JWTPayload, string]>([
    ["of another team", { ...CLAIMS, iss: "https://evil.cloudflareaccess.com" }, BAD_TOKEN],
    ["of a team with a longer name", { ...CLAIMS, iss: `${TEAM}.evil.example` }, BAD_TOKEN],
    ["whose issuer ends with a slash", { ...CLAIMS, iss: `${TEAM}/` }, BAD_TOKEN],
    ["without an issuer", without("iss"), BAD_TOKEN],
    ["for another application", { ...CLAIMS, aud: ["other-audience"] }, BAD_TOKEN],
    ["with a longer audience", { ...CLAIMS, aud: "test-audience-2" }, BAD_TOKEN],
    ["for no application", { ...CLAIMS, aud: [] }, BAD_TOKEN],
    ["without an audience", without("aud"), BAD_TOKEN],
    ["that has expired", { ...CLAIMS, exp: now - 60 }, EXPIRED],
    ["without an expiry", without("exp"), BAD_TOKEN],
    ["whose expiry is not a number", { ...CLAIMS, exp: "never" as unknown as number }, BAD_TOKEN],
    ["that is not valid yet", { ...CLAIMS, nbf: now + 600 }, BAD_TOKEN],
    ["that does not say when it was issued", without("iat"), BAD_TOKEN],
    ["without a subject", without("sub"), BAD_TOKEN],
    ["of the organization, not of an application", { ...CLAIMS, type: "org" }, BAD_TOKEN],
    ["without a type", without("type"), BAD_TOKEN],
  ])("%s", async (_, claims, message) => {
    await expectRefused(await signed(claims), "Unauthorized", message);
  });

  it.each<[string, JWTPayload]>([
    ["of a service and of a person", { ...CLAIMS, sub: "", common_name: "ci.access" }],
    ["without an address, and with an empty common name", { ...CLAIMS, email: "", common_name: "" }],
    ["of a service, with a subject", { ...without("email"), common_name: "ci.access" }],
    ["with an empty subject", { ...CLAIMS, sub: "" }],
    ["whose subject is an object", { ...CLAIMS, sub: { toString: "uid" } as unknown as string }],
    ["with an empty address", { ...CLAIMS, email: "" }],
    ["whose address is a list", { ...CLAIMS, email: ["alice@example.com"] }],
  ])("for naming nobody: %s", async (_, claims) => {
    await expectRefused(await signed(claims), "Forbidden", NO_PERSON);
  });
});

it.each(["ci/../admin", "ci@example.com", "ci access", "x".repeat(200)])(
  "a service token with an invalid common name is refused: %j",
  async (common_name) => {
    await expectRefused(await signed({ ...without("email"), sub: "", common_name }), "Unauthorized", BAD_TOKEN);
  },
);

describe("a correctly signed token with duplicate members, or with another token in it", () => {
  const HEADER = JSON.stringify({ alg: "RS256", kid: "test-key" });

  /** The claims as JSON, with duplicates of some of them at the end. */
  const withDuplicates = (again: string, claims: JWTPayload = CLAIMS) =>
    `${JSON.stringify(claims).slice(0, -1)},${again}}`;

  it("is read in one way only: the last member counts, all the way to the cluster", async () => {
    const twice = withDuplicates('"email":"bob@viewers.example.com"', { ...CLAIMS, email: "admin@example.com" });
    const response = await present(await signedText(HEADER, twice));
    const { headers } = (await response.json()) as { headers: Record<string, string> };
    expect(headers).toMatchObject({
      "impersonate-user": "bob@viewers.example.com",
      "impersonate-group": "developers, oncall",
    });
  });

  it.each([
    ["another application last", withDuplicates('"aud":["other-audience"]')],
    ["another team last", withDuplicates('"iss":"https://evil.cloudflareaccess.com"')],
    ["the organization's type last", withDuplicates('"type":"org"')],
    ["an expiry in the past last", withDuplicates('"exp":1')],
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

  it("is refused if its payload is a token, or not an object", async () => {
    const inner = await token(alice);
    const nested = JSON.stringify({ alg: "RS256", kid: "test-key", cty: "JWT" });
    for (const payload of [inner, JSON.stringify(inner), "[]", "null", '"text"', ""]) {
      await expectRefused(await signedText(nested, payload), "Unauthorized", BAD_TOKEN);
    }
  });
});

describe("the key set", () => {
  const config = loadConfig(env.SALLYPORT_CONFIG);

  /**
   * A handler for a team of its own. The beginning of the name says how its domain behaves: see
   * fakes/access.js.
   */
  function workerOf(behaviour: string) {
    const team = `${behaviour}-${crypto.randomUUID()}`;
    const iss = `https://${team}.cloudflareaccess.com`;
    const access = { ...config.access, teamDomain: iss };
    const handler = createHandler({ ...config, access });
    return { team, iss, handle: (request: Request) => handler(request, env, createExecutionContext()) };
  }

  it.each(["failing", "html", "not-keys", "gone"])("cannot be used (%s): everybody gets 503", async (behaviour) => {
    const { iss, handle } = workerOf(behaviour);
    const good = await signed({ ...CLAIMS, iss });
    await expectRefused(good, "ServiceUnavailable", NO_KEYS, await handle(request(good)));
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { event: "access_keys_unavailable", level: "error", error: expect.any(String) },
    ]);
  });

  it("does not arrive within 5 seconds: everybody gets 503", async () => {
    const { iss, handle } = workerOf("silent");
    const good = await signed({ ...CLAIMS, iss });
    await expectRefused(good, "ServiceUnavailable", NO_KEYS, await handle(request(good)));
  });

  it("is fetched again by the next request after a failure", async () => {
    const { team, iss, handle } = workerOf("failing");
    const good = await signed({ ...CLAIMS, iss });
    expect((await handle(request(good))).status).toBe(503);
    expect((await handle(request(good))).status).toBe(503);
    expect(await fetches(team)).toBe(2);
  });

  it("is fetched once for many requests", async () => {
    const { team, iss, handle } = workerOf("steady");
    const good = await signed({ ...CLAIMS, iss });
    // The first one alone: a Worker's request cannot wait for the fetch of another request, so each would
    // make its own.
    expect((await handle(request(good))).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 5 }, () => handle(request(good))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await fetches(team)).toBe(1);
  });

  it("is not fetched for tokens that can be refused without it", async () => {
    const { team, handle } = workerOf("steady");
    for (const bad of [undefined, "garbage", `${base64url({ alg: "none" })}.${base64url(CLAIMS)}.`]) {
      expect((await handle(request(bad))).status).toBe(401);
    }
    expect(await fetches(team)).toBe(0);
  });

  it("is not fetched for unknown key ids within the cool-down", async () => {
    const { team, iss, handle } = workerOf("steady");
    expect((await handle(request(await signed({ ...CLAIMS, iss })))).status).toBe(200);
    for (let i = 0; i < 10; i++) {
      const response = await handle(request(await signed({ ...CLAIMS, iss }, { kid: `made-up-${i}` })));
      expect(response.status).toBe(401);
    }
    expect(await fetches(team)).toBe(1);
  });

  it("is not used for a token that was just verified, but its expiry is checked each time", async () => {
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

  it("is not used for variants of a token, such as with spaces: each would be cached by itself", async () => {
    const { iss, handle } = workerOf("variants");
    const good = await signed({ ...CLAIMS, iss });
    expect((await handle(request(good))).status).toBe(200);
    for (const variant of [
      `${good.slice(0, -9)} ${good.slice(-9)}`,
      `${good}=`,
      `${good}==`,
      `${good.slice(0, -9)}\t${good.slice(-9)}`,
    ]) {
      expect((await handle(request(variant))).status).toBe(401);
    }
  });

  it("is fetched again for a new key after the cool-down, and an old key that is gone is not accepted", async () => {
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

  it("is fetched again after 10 minutes, so that a removed key is not accepted any longer", async () => {
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

describe("each fault has one meaning", () => {
  const config = loadConfig(env.SALLYPORT_CONFIG);

  /** The denial of a correct token, if the key set throws this. */
  async function denialFor(thrown: unknown) {
    const authenticate = createAuthenticator(config.access, () => Promise.reject(thrown));
    const authenticated = await authenticate(request(await signed(CLAIMS)));
    return authenticated.ok ? "accepted" : authenticated.error;
  }

  const events = () => logged.map((line) => JSON.parse(line) as Record<string, unknown>);

  it.each([
    [new errors.JWTExpired("m", {}), EXPIRED],
    [new errors.JWTClaimValidationFailed("m", {}), BAD_TOKEN],
    [new errors.JWTInvalid("m"), BAD_TOKEN],
    [new errors.JWSInvalid("m"), BAD_TOKEN],
    [new errors.JWSSignatureVerificationFailed("m"), BAD_TOKEN],
    [new errors.JWKSNoMatchingKey("m"), BAD_TOKEN],
    [new errors.JWKSMultipleMatchingKeys("m"), BAD_TOKEN],
    [new errors.JOSEAlgNotAllowed("m"), BAD_TOKEN],
    [new errors.JOSENotSupported("m"), BAD_TOKEN],
  ])("of the token: $code is refused, and not logged", async (thrown, message) => {
    expect(await denialFor(thrown)).toEqual({ code: "bad_token", message });
    expect(events()).toEqual([]);
  });

  it.each([
    new errors.JWKSTimeout("m"),
    new errors.JWKSInvalid("m"),
    new errors.JWKInvalid("m"),
    new errors.JOSEError("not 200, or not JSON"),
  ])("of the key set: $code is unavailability", async (thrown) => {
    expect(await denialFor(thrown)).toEqual({ code: "keys_unreachable", message: NO_KEYS });
    expect(events()).toEqual([{ event: "access_keys_unavailable", level: "error", error: String(thrown) }]);
  });

  class LaterJoseError extends errors.JOSEError {
    override code = "ERR_OF_A_LATER_VERSION";
  }

  it.each<[string, unknown, string]>([
    ["an unknown code", new LaterJoseError("eyJ-quoted"), "ERR_OF_A_LATER_VERSION"],
    ["a code like an object's property", Object.assign(new errors.JOSEError("m"), { code: "toString" }), "toString"],
    ["a fault of encryption", new errors.JWEInvalid("m"), "ERR_JWE_INVALID"],
    ["another fault of encryption", new errors.JWEDecryptionFailed("m"), "ERR_JWE_DECRYPTION_FAILED"],
    ["an error that is not jose's", new TypeError("eyJ-quoted"), "TypeError"],
    ["one with a code of jose's", Object.assign(new Error("m"), { code: "ERR_JWKS_TIMEOUT" }), "Error"],
    ["a thrown string", "eyJ-quoted", "a thrown string"],
    ["nothing", undefined, "a thrown undefined"],
    ["null", null, "a thrown object"],
  ])("that is unknown is a refusal, logged by name: %s", async (_, thrown, name) => {
    expect(await denialFor(thrown)).toEqual({ code: "bad_token", message: BAD_TOKEN });
    expect(events()).toEqual([{ event: "access_token_error_unknown", level: "error", error: name }]);
  });
});

describe("a poisoned key set", () => {
  const config = loadConfig(env.SALLYPORT_CONFIG);
  const { kty = "", n = "", e = "" } = env.TEST_SIGNING_KEY;
  const good = { kty, n, e, kid: "test-key", alg: "RS256", use: "sig" };
  const SECRET = new Uint8Array(64).fill(7);
  const oct = { kty: "oct", k: base64url(String.fromCharCode(...SECRET)), kid: "test-key" };

  /** The answer to a token in a deployment whose team publishes this key set. */
  async function answer(keys: unknown, make: (iss: string) => Promise<string>): Promise<Response> {
    const team = `poisoned-${crypto.randomUUID()}`;
    const iss = `https://${team}.cloudflareaccess.com`;
    await publishAll(team, keys);
    const handle = createHandler({ ...config, access: { ...config.access, teamDomain: iss } });
    return handle(request(await make(iss)), env, createExecutionContext());
  }

  const correct = (iss: string) => signed({ ...CLAIMS, iss });

  it.each<[string, unknown]>([
    ["a shared secret", [{ ...oct, alg: "HS256" }]],
    ["a shared secret that calls itself RS256", [{ ...oct, alg: "RS256" }]],
    ["a key for no algorithm", [{ ...oct, alg: "none" }]],
  ])("with %s does not make an HMAC a valid signature", async (_, keys) => {
    for (const alg of ["HS256", "HS512"]) {
      const response = await answer(keys, (iss) => signed({ ...CLAIMS, iss }, { alg }, SECRET));
      expect(response.status).toBe(401);
    }
    const unsigned = await answer(
      keys,
      async (iss) => `${base64url({ alg: "none", kid: "test-key" })}.${base64url({ ...CLAIMS, iss })}.`,
    );
    expect(unsigned.status).toBe(401);
    expect((await answer(keys, correct)).status).toBe(401);
  });

  it.each<[string, object]>([
    ["none", { alg: "none" }],
    ["HS256", { alg: "HS256" }],
    ["RS512", { alg: "RS512" }],
    ["encryption only", { use: "enc" }],
    ["operations other than verifying", { key_ops: ["encrypt"] }],
  ])("whose key is for %s verifies nothing", async (_, labels) => {
    expect((await answer([{ ...good, ...labels }], correct)).status).toBe(401);
  });

  it("with an attacker's key under the same id verifies no token of either key", async () => {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    const theirs = { ...(await exportJWK(publicKey)), kid: "test-key", alg: "RS256", use: "sig" };
    for (const keys of [
      [good, theirs],
      [theirs, good],
    ]) {
      expect((await answer(keys, (iss) => signed({ ...CLAIMS, iss }, {}, privateKey))).status).toBe(401);
      expect((await answer(keys, correct)).status).toBe(401);
      // Without a key id both would be tried.
      const anonymous = (iss: string) => signed({ ...CLAIMS, iss }, { kid: undefined }, privateKey);
      expect((await answer(keys, anonymous)).status).toBe(401);
    }
  });

  it.each<[string, unknown]>([
    ["a key without its modulus", [{ ...good, n: undefined }]],
    ["a key whose modulus is not base64", [{ ...good, n: "!!!" }]],
    ["a key of 512 bits", [{ ...good, n: base64url(String.fromCharCode(...new Uint8Array(64).fill(0xc1))) }]],
    ["an empty exponent", [{ ...good, e: "" }]],
    [
      "a key of another family under the same id",
      [{ kty: "EC", crv: "P-256", x: n.slice(0, 43), y: n.slice(0, 43), kid: "test-key" }],
    ],
    ["no keys", []],
    ["null for a key", [null]],
    ["a string for the list", "keys"],
    ["an object for the list", { length: 1, 0: good }],
  ])("with %s verifies nothing", async (_, keys) => {
    const response = await answer(keys, correct);
    expect([401, 503]).toContain(response.status);
    expect(logged.join("\n")).not.toContain(n.slice(0, 20));
  });

  it("of thousands of keys is read, and no other key than the token's is imported", async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ({ ...good, kid: `key-${index}` }));
    const importKey = vi.spyOn(crypto.subtle, "importKey");
    // The test itself imports the key that signs.
    const imported = () => importKey.mock.calls.filter(([, , , , usages]) => usages.includes("verify")).length;
    expect((await answer([...many, good], correct)).status).toBe(200);
    expect(imported()).toBe(1);
    expect((await answer(many, correct)).status).toBe(401);
    expect(imported()).toBe(1);
  });
});

describe("while keys are rotated", () => {
  it("tokens of the old key are accepted as long as it is published, and tokens of the new key once it is fetched", async () => {
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
    // All at once, while the set is being fetched.
    expect(await statuses([old, fresh, old, fresh, old, fresh])).toEqual([200, 200, 200, 200, 200, 200]);

    await publishAll(team, [after]);
    vi.spyOn(Date, "now").mockImplementation(() => later + 10 * 60_000 + 1);
    expect(await statuses([fresh])).toEqual([200]);
    expect(await statuses([old, fresh, old, fresh])).toEqual([401, 200, 401, 200]);
    // A signature of the old key under the new key's id is a forgery, and so is the reverse.
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
