import { describe, expect, it } from "vitest";
import { adminApiOf, adminCredentialsOf, UnclearAnswer } from "../../tools/deployment/admin-api.ts";
import { drainSwitch } from "../../tools/deployment/drain-switch.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";
import { type HttpAnswer, HttpFailure, type HttpRequest } from "../../tools/ports/http.ts";
import { ADMIN_AUDIENCE, HOSTNAME, TEAM_DOMAIN, testPlan } from "../support/planned.ts";

const SECRET = "a-secret-that-nobody-may-see";
const DRAIN = {
  draining: true,
  by: "ci",
  reason: "upgrade",
  since: "2026-11-26T22:00:00Z",
  until: "2026-11-26T23:00:00Z",
};

const json = (body: object, status = 200): HttpAnswer => ({ status, headers: {}, body: JSON.stringify(body) });
const refusal = (code: string, message: string, status: number) => json({ error: { code, message } }, status);

/** The switch of a deployment that gives these answers, and what it was asked. */
function deployed(answers: readonly (HttpAnswer | Error)[], env: Record<string, string> = { CF_ACCESS_TOKEN: SECRET }) {
  const asked: HttpRequest[] = [];
  const credentials = adminCredentialsOf(env);
  if (!credentials) throw new Error("no credentials");
  const http = async (request: HttpRequest) => {
    const answer = answers[asked.push(request) - 1];
    if (!answer) throw new Error("asked too often");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, drain: drainSwitch(http, adminApiOf(testPlan(), credentials)) };
}

describe("the drain switch of a deployment", () => {
  it("is read, switched on with reason and end, and switched off", async () => {
    const { asked, drain } = deployed([json({ ...DRAIN, draining: false }), json(DRAIN), json({ wasDraining: true })]);
    expect((await drain.read()).draining).toBe(false);
    expect(await drain.begin("upgrade", Date.parse(DRAIN.until))).toMatchObject({ draining: true, by: "ci" });
    expect(await drain.end("done")).toBe(true);
    expect(asked.map(({ method, url, body }) => [method, url, body && JSON.parse(body)])).toEqual([
      ["GET", `https://${HOSTNAME}/-/admin/drain`, undefined],
      ["PUT", `https://${HOSTNAME}/-/admin/drain`, { reason: "upgrade", until: "2026-11-26T23:00:00.000Z" }],
      ["DELETE", `https://${HOSTNAME}/-/admin/drain`, { reason: "done" }],
    ]);
  });

  it("lists every live session, page by page", async () => {
    const item = (id: string) => ({
      ...{ id, user: "alice@acme.test", cluster: "prod", kind: "exec", namespace: "shop", pod: "web-0" },
      ...{ startedAt: "2026-11-26T22:00:00.000Z", state: "live" },
    });
    const { asked, drain } = deployed([
      json({ items: [item("a"), item("b")], next: "b&c" }),
      json({ items: [item("c")], next: null }),
    ]);
    const live = await drain.live();
    expect(live.map(({ id, started_at }) => [id, started_at])).toEqual(
      ["a", "b", "c"].map((id) => [id, Date.parse("2026-11-26T22:00:00Z")]),
    );
    expect(asked[1]?.url).toBe(`https://${HOSTNAME}/-/admin/sessions?state=live&limit=500&cursor=b%26c`);
  });

  it("is asked with a service token, or with a person's token", async () => {
    const service = { CF_ACCESS_CLIENT_ID: "ci.access", CF_ACCESS_CLIENT_SECRET: SECRET };
    for (const [env, headers] of [
      [service, { "cf-access-client-id": "ci.access", "cf-access-client-secret": SECRET }],
      [{ CF_ACCESS_TOKEN: "a.person.s" }, { "cf-access-token": "a.person.s" }],
      [{ ...service, CF_ACCESS_TOKEN: "a.person.s" }, { "cf-access-token": "a.person.s" }],
    ] as const) {
      const { asked, drain } = deployed([json(DRAIN)], env);
      await drain.read();
      expect(asked[0]?.headers).toEqual(headers);
    }
    expect(adminCredentialsOf({ CF_ACCESS_CLIENT_ID: "ci.access" })).toBeUndefined();
  });

  const login = `${TEAM_DOMAIN}/cdn-cgi/access/login/${HOSTNAME}?kid=${ADMIN_AUDIENCE}`;
  it.each<[string, HttpAnswer | Error, RegExp]>([
    ["Access asks to sign in", { status: 302, headers: { location: login }, body: "" }, /Access does not let these/],
    ["the role is missing", refusal("forbidden", "requires the role admin", 403), /says: requires the role admin$/],
    ["the version is older", refusal("not_found", "there is no /-/admin/drain here", 404), /has no drain yet/],
    ["another server answers", { status: 200, headers: {}, body: "<html>" }, /not as Sallyport does: check the host/],
    ["the answer is another", json({ draining: "yes" }), /not as Sallyport does/],
    ["nobody answers", new HttpFailure(`${HOSTNAME} does not answer: ENOTFOUND`), /does not answer: .*ENOTFOUND/],
  ])("is an operator's error where %s", async (_, answer, message) => {
    const { drain } = deployed([answer]);
    const failure = await drain.read().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OperatorError);
    expect(String(failure)).toMatch(message);
    expect(String(failure)).not.toContain(SECRET);
  });

  it.each<[string, HttpAnswer | Error, boolean]>([
    ["nobody answers", new HttpFailure(`${HOSTNAME} does not answer: no answer within 15 s`), true],
    ["a gateway answers", { status: 502, headers: {}, body: "<html>" }, true],
    ["the directory did not answer in time", refusal("object_unavailable", "try again", 503), true],
    ["half of an answer arrives", { status: 200, headers: {}, body: '{"draining": tr' }, true],
    ["the admin API refuses it", refusal("bad_request", "until is more than 24 hours away", 400), false],
    ["Access refuses it", { status: 302, headers: { location: login }, body: "" }, false],
  ])("says that it may be on where %s", async (_, answer, isUnclear) => {
    const { drain } = deployed([answer]);
    const failure = await drain.begin("upgrade", Date.parse(DRAIN.until)).catch((error: unknown) => error);
    expect(failure instanceof UnclearAnswer).toBe(isUnclear);
  });
});
