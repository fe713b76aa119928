import { describe, expect, it } from "vitest";
import { parseCall } from "../../worker/api/parse-call.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES } from "../../worker/api/routes.ts";

interface Input {
  readonly parts?: Record<string, string>;
  readonly query?: string;
  readonly body?: string;
}

/** What a route makes of a request: the parsed call, or the message that refuses it. */
async function parse<R extends Route>(route: R, { parts = {}, query = "", body }: Input) {
  const stream = new Response(body ?? null).body;
  const parsed = await parseCall(route, parts, new URLSearchParams(query), { body: stream });
  if (parsed.ok) return parsed.value;
  expect(parsed.error.code).toBe("bad_request");
  return parsed.error.message;
}

const lock = (input: Input) => parse(ROUTES.lockUser, { parts: { email: "a@b.c" }, ...input });
const list = (query: string) => parse(ROUTES.listSessions, { query });
const reason = (body: string) => parse(ROUTES.stateReason, { body });

describe("a path", () => {
  it("is decoded, and names are in lower case", async () => {
    expect(await lock({ parts: { email: "Alice%2Bx%40Example.com" } })).toMatchObject({
      params: { email: "alice+x@example.com" },
    });
  });

  it.each([
    ["%E0%A4", "email in the path has an invalid percent-encoding"],
    ["a%20b", "email in the path: must be visible ASCII without spaces"],
    ["%C3%A9@x.y", "email in the path: must be visible ASCII without spaces"],
    ["a%00", "email in the path: must be visible ASCII without spaces"],
  ])("with the part %s is refused", async (email, message) => {
    expect(await lock({ parts: { email } })).toBe(message);
  });
});

describe("a query", () => {
  it("has defaults", async () => {
    expect(await list("")).toMatchObject({ query: { state: "all", limit: 100 } });
  });

  it("is parsed by the route's schema", async () => {
    const query = "state=live&user=A@B.C&since=2026-03-01T14:00:00%2B02:00&limit=7&cursor=5.abc";
    expect(await list(query)).toMatchObject({
      query: {
        ...{ state: "live", user: "a@b.c", since: Date.parse("2026-03-01T12:00:00Z"), limit: 7 },
        cursor: { startedAt: 5, id: "abc" },
      },
    });
  });

  it.each([
    ["nmespace=demo", /^unknown query parameter nmespace: this route takes state, user, namespace, /],
    ["__proto__=1", /^unknown query parameter __proto__/],
    ["user=a&user=b", /^query parameter user is repeated: give it once$/],
    ["state=open", /^query parameter state: expected one of "live"\|"ended"\|"all"$/],
    ["limit=0", /^query parameter limit: /],
    ["limit=", /^query parameter limit: /],
    ["since=yesterday", /^query parameter since: must be a time like 2026-11-17T00:00:00Z$/],
    ["cursor=x", /^query parameter cursor: must be the `next` of an earlier answer$/],
    ["limit=0&state=open", /^query parameter state: .*; query parameter limit: /],
  ])("%s is refused, and the message names the parameter", async (query, message) => {
    expect(await list(query)).toMatch(message);
  });

  it("is ignored where a route takes none, or only a reason: it cannot change what is done", async () => {
    expect(await parse(ROUTES.whoami, { query: "pretty=true" })).toEqual({ params: {}, query: {}, body: {} });
    const call = await parse(ROUTES.endUserSessions, {
      parts: { email: "alice@example.com" },
      query: "gracePeriodSeconds=0&reason=x",
      body: '{"kind":"DeleteOptions","apiVersion":"v1"}',
    });
    expect(call).toMatchObject({ query: { reason: "x" }, body: {} });
  });

  it("is refused where a misspelt name would do something else", async () => {
    expect(await list("sate=live")).toMatch(/unknown query parameter sate/);
    const lock = await parse(ROUTES.lockUser, { parts: { email: "alice@example.com" }, query: "minute=60" });
    expect(lock).toMatch(/unknown query parameter minute/);
  });

  it("may give minutes as text in a body too, as scripts do", async () => {
    const call = await parse(ROUTES.lockUser, { parts: { email: "a@example.com" }, body: '{"minutes":"60"}' });
    expect(call).toMatchObject({ body: { minutes: 60 } });
  });

  it("may have kubectl's --request-timeout, which is for the API server", async () => {
    expect(await parse(ROUTES.whoami, { query: "timeout=5s" })).toEqual({ params: {}, query: {}, body: {} });
    expect(await list("timeout=5s&state=live")).toMatchObject({ query: { state: "live" } });
  });
});

describe("a body", () => {
  it.each([
    [undefined, {}],
    ["", {}],
    [" \n", {}],
    ["{}", {}],
    ['{"reason":" a\\u001b[2J\\r\\nb "}', { reason: "a [2J b" }],
    ['{"reason":"x","minutes":0.5}', { reason: "x", minutes: 0.5 }],
  ])("%j is read", async (body, expected) => {
    expect(await lock(body === undefined ? {} : { body })).toMatchObject({ body: expected });
  });

  const form = 'the body must be a JSON object like {"reason":"stolen laptop","minutes":60}, at most 16 KiB';
  it.each([
    ["because", form],
    ['["because"]', form],
    ["null", form],
    ["5", form],
    [`{"reason":"${"x".repeat(16 * 1024)}"}`, form],
    ['{"reason":5}', "reason in the body: expected string, received number"],
    ['{"minutes":"soon"}', "minutes in the body: must be a number above 0, at most 527040"],
    ['{"minutes":0}', "minutes in the body: must be a number above 0, at most 527040"],
    // A misspelt field must not become a lock for ever.
    ['{"minuts":5}', "unknown minuts in the body: this route takes reason, minutes"],
  ])("%.40s is refused", async (body, message) => {
    expect(await lock({ body })).toBe(message);
  });

  it("is not read where a route takes none", async () => {
    expect(await parse(ROUTES.whoami, { body: "anything" })).toEqual({ params: {}, query: {}, body: {} });
  });
});

describe("a body that may be plain text", () => {
  it.each([
    ["INC-17: disk full\u001b[2J\n", "INC-17: disk full [2J"],
    ['{"reason":"INC-17"}', "INC-17"],
    ['{"ticket":17}', '{"ticket":17}'],
    ["17", "17"],
    // A character that the limit cuts in two is no text, and no terminal's.
    [`${"x".repeat(499)}\u{1f600}`, `${"x".repeat(499)}\ufffd`],
  ])("%.40j is a reason", async (body, expected) => {
    expect(await reason(body)).toMatchObject({ body: { reason: expected } });
  });

  it.each(["", "   ", "\u0000", '{"reason":""}'])("%j is none", async (body) => {
    expect(await reason(body)).toBe('reason in the body: must say the reason, as text or as {"reason": "…"}');
  });

  it("is refused when it is too large", async () => {
    expect(await reason("x".repeat(20_000))).toMatch(/^the body must be .*, at most 16 KiB$/);
  });
});
