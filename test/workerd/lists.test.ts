/** What lists of sessions and API requests can be filtered by, as JSON and CSV, and whose rows people see. */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import type { SessionEnd } from "../../audit/events.ts";
import type { AuditedRequest } from "../../audit/request-events.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { eventually } from "../support/eventually.ts";
import { write } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, alice, as, directlyAs, someone, upgrade } from "./people.ts";
import { type MadeSession, sessionEvents } from "./session-events.ts";
import { expectApiDenial } from "./statuses.ts";

const SESSIONS = "/-/admin/sessions";
const REQUESTS = "/-/admin/requests";

interface Page {
  readonly items: { readonly id: string; readonly pod: string; readonly name: string; readonly user: string }[];
  readonly next: string | null;
}

const list = async (who: JWTPayload, path: string, query: Record<string, string> = {}): Promise<Page> => {
  const response = await as(who, `${path}?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  return response.json();
};

let count = 0;

async function writeSession(
  user: string,
  pod: string,
  start: object,
  end: Partial<SessionEnd> | null,
): Promise<string> {
  const at = Date.parse("2026-03-01T12:00:00Z") + 1_000 * ++count;
  const objectId = env.USER_SESSIONS.idFromName(user).toString();
  const id = makeSessionId(objectId, at, crypto.getRandomValues(new Uint8Array(10)));
  const seconds = end === null ? null : 1;
  const made: MadeSession = { id, at, seconds, start: { user, kubernetes_user: user, pod, ...start }, end: end ?? {} };
  await write(...sessionEvents(made));
  return id;
}

async function writeRequest(user: string, name: string, request: Partial<AuditedRequest>): Promise<void> {
  const arrived_at = Date.parse("2026-03-01T12:00:00Z") + 1_000 * ++count;
  const data: AuditedRequest = {
    ...{ user, location_hint: null, arrived_at, kubernetes_user: user, cluster: "test-cluster" },
    ...{ category: "mutation", decision: "allowed", rule: null, refusal: null, reason: null, method: "DELETE" },
    ...{ path: "/api/v1/x", verb: "delete", api_group: "", resource: "pods", subresource: null, namespace: "demo" },
    ...{ name, status: 200, client_address: null, country: null, user_agent: null, ray: null },
    ...request,
  };
  const session_id = `${new Date(arrived_at).toISOString()}-${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  await write({ session_id, seq: 0, at: arrived_at, type: "request", data: { ...data, awaits_response: false } });
}

describe("sessions", () => {
  it("are filtered by cluster, rule, outcome and recording, alone and together", async () => {
    const user = someone().email;
    const recording = { state: "complete", bytes: 9, reason: null } as const;
    await writeSession(user, "a", { cluster: "prod", rule: "sre" }, { outcome: "exited", recording });
    await writeSession(user, "b", { cluster: "prod" }, { outcome: "refused" });
    await writeSession(user, "c", { cluster: "dev", rule: "sre" }, { outcome: "exited" });
    await writeSession(user, "d", { cluster: "dev", recording_mode: "full" }, null);
    await writeSession(user, "e", { cluster: "dev", recording_mode: "off" }, null);
    const pods = async (query: Record<string, string>) =>
      (await list(admin, SESSIONS, { user, ...query })).items.map(({ pod }) => pod).join("");
    expect(await pods({})).toBe("edcba");
    expect(await pods({ cluster: "prod" })).toBe("ba");
    expect(await pods({ rule: "sre" })).toBe("ca");
    expect(await pods({ outcome: "exited" })).toBe("ca");
    expect(await pods({ outcome: "exited", cluster: "prod", rule: "sre" })).toBe("a");
    expect(await pods({ recorded: "true" })).toBe("da");
    expect(await pods({ recorded: "false" })).toBe("ecb");
    expect(await pods({ recorded: "true", state: "ended" })).toBe("a");
    expect(await pods({ cluster: "prod' OR 1=1 --" })).toBe("");
  });

  it.each(["outcome=won", "recorded=maybe", "format=xml"])("refuse %s", async (query) => {
    const name = query.slice(0, query.indexOf("="));
    await expectApiDenial(await as(admin, `${SESSIONS}?${query}`), "bad_request", new RegExp(name));
  });

  it("that only the directory knows are filtered by what it does not know, too", async () => {
    const person = someone();
    const client = await Client.open(upgrade(person, "/api/v1/namespaces/demo/pods/silent/exec?command=sh"));
    const { email: user } = person;
    const found = async (query: Record<string, string>) =>
      (await list(admin, SESSIONS, { state: "live", user, ...query })).items.map(({ id }) => id);
    await eventually(async () => expect(await found({ cluster: "test-cluster" })).toEqual([client.sessionId]));
    expect(await found({ recorded: "true" })).toEqual([client.sessionId]);
    expect(await found({ cluster: "other" })).toEqual([]);
    expect(await found({ recorded: "false" })).toEqual([]);
    expect(await found({ rule: "none" })).toEqual([]);
    expect(await found({ outcome: "exited" })).toEqual([]);
    client.close();
  });
});

describe("API requests", () => {
  it("are filtered by what was asked and by what became of it", async () => {
    const user = someone().email;
    await writeRequest(user, "a", { verb: "delete", resource: "pods" });
    await writeRequest(user, "b", { verb: "create", resource: "serviceaccounts", subresource: "token", status: 403 });
    await writeRequest(user, "c", { decision: "refused", refusal: "rule", rule: "no deletes", status: null });
    await writeRequest(user, "d", { cluster: "other", status: 500 });
    await writeRequest(user, "e", { status: null });
    const names = async (query: Record<string, string>) =>
      (await list(admin, REQUESTS, { user, ...query })).items.map(({ name }) => name).join("");
    expect(await names({})).toBe("edcba");
    expect(await names({ verb: "create" })).toBe("b");
    expect(await names({ resource: "serviceaccounts", subresource: "token" })).toBe("b");
    expect(await names({ name: "d" })).toBe("d");
    expect(await names({ cluster: "other" })).toBe("d");
    expect(await names({ refusal: "rule" })).toBe("c");
    expect(await names({ rule: "no deletes" })).toBe("c");
    expect(await names({ outcome: "succeeded" })).toBe("a");
    expect(await names({ outcome: "forbidden" })).toBe("b");
    expect(await names({ outcome: "refused" })).toBe("c");
    expect(await names({ outcome: "failed" })).toBe("d");
    expect(await names({ outcome: "unknown" })).toBe("e");
  });
});

describe("a list as CSV", () => {
  it("has the same rows, page by page, and no formula", async () => {
    const user = someone().email;
    for (const pod of ["a", "b", "c"]) {
      await writeSession(user, pod, { user_agent: '=cmd|"x"', command: ["\u001B[2J"] }, { outcome: "exited" });
    }
    const lines: string[] = [];
    let path = `${SESSIONS}?${new URLSearchParams({ user, limit: "2", format: "csv" })}`;
    for (let pages = 0; path !== "" && pages < 3; pages++) {
      const response = await as(admin, path);
      const isFirst = pages === 0;
      expect(response.headers.get("content-type")).toBe(
        `text/csv; charset=utf-8; header=${isFirst ? "present" : "absent"}`,
      );
      expect(response.headers.get("content-disposition")).toBe('attachment; filename="sessions.csv"');
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      lines.push(...(await response.text()).trimEnd().split("\r\n"));
      path = /^<([^>]*)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1] ?? "";
    }
    expect(lines).toHaveLength(4);
    const [names = "", ...rows] = lines;
    const column = names.split(",").indexOf('"pod"');
    expect(rows.map((row) => row.split(",")[column])).toEqual(['"c"', '"b"', '"a"']);
    for (const row of rows) {
      expect(row).toContain('"\'=cmd|""x"""');
      expect(row).not.toMatch(/\p{Cc}/u);
    }
  });

  it("is what Accept asks for, but not what kubectl's does", async () => {
    const typeOf = async (accept: string) =>
      (await as(admin, `${REQUESTS}?limit=1`, { headers: { Accept: accept } })).headers.get("content-type");
    expect(await typeOf("text/csv")).toMatch(/^text\/csv;/);
    expect(await typeOf("application/json, */*")).toBe("application/json");
    expect(await typeOf("text/html,*/*;q=0.8")).toBe("application/json");
  });

  it("is for auditors, as the list is", async () => {
    await expectApiDenial(await as(alice, `${SESSIONS}?format=csv`), "not_admin", /admin or auditor/);
    const config = { identities: [{ match: { email: "alice@example.com" }, roles: ["auditor" as const] }] };
    const answer = await directlyAs(alice, `${SESSIONS}?format=csv&limit=1`, {}, { config });
    expect(answer.status).toBe(200);
  });
});

describe("somebody without a role", () => {
  it("sees their own sessions of the past, one by one too, and nobody else's", async () => {
    const [person, other] = [someone(), someone()];
    const mine = await writeSession(person.email, "mine", {}, { outcome: "exited" });
    const theirs = await writeSession(other.email, "theirs", {}, { outcome: "exited" });
    const client = await Client.open(upgrade(person, "/api/v1/namespaces/demo/pods/silent/exec?command=sh"));
    const ids = async (query: Record<string, string>) =>
      (await list(person, "/-/sessions", query)).items.map(({ id }) => id);
    expect(await ids({})).toEqual([client.sessionId]);
    expect(await ids({ state: "ended" })).toEqual([mine]);
    expect(await ids({ state: "all" })).toEqual([client.sessionId, mine]);
    const page = await list(person, "/-/sessions", { state: "all", limit: "1" });
    expect(page.items.map(({ id }) => id)).toEqual([client.sessionId]);
    expect(await ids({ state: "all", limit: "1", cursor: page.next ?? "" })).toEqual([mine]);
    const shown = await as(person, `/-/sessions/${mine}`);
    expect(await shown.json()).toMatchObject({ id: mine, state: "ended", events: [{ type: "start" }, {}, {}] });
    const refused = await as(person, `/-/sessions/${theirs}`);
    await expectApiDenial(refused, "not_found", /^you have no session with this id/);
    await expectApiDenial(await as(person, "/-/sessions/nonsense"), "not_found", /^you have no session/);
    // No filter leads to others.
    await expectApiDenial(await as(person, `/-/sessions?user=${other.email}`), "bad_request", /unknown .* user/);
    client.close();
  });

  it("sees their own API requests, and nobody else's", async () => {
    const [person, other] = [someone(), someone()];
    await writeRequest(person.email, "mine", {});
    await writeRequest(other.email, "theirs", {});
    expect((await list(person, "/-/requests")).items.map(({ name }) => name)).toEqual(["mine"]);
    expect((await list(person, "/-/requests", { verb: "create" })).items).toEqual([]);
    await expectApiDenial(await as(person, `/-/requests?user=${other.email}`), "bad_request", /unknown .* user/);
  });
});

describe("who the caller is", () => {
  const clusters = [
    {
      ...{ name: "one", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
      identities: [{ match: { emailDomain: "example.com" }, groups: ["guests"] }],
    },
  ];
  const grants = ["lead", "sre"].map((name) => ({
    ...{ name, for: [{ emailDomain: "example.com" }], gives: { groups: [name] } },
    approvers: name === "lead" ? { users: ["alice@example.com"] } : { roles: ["admin" as const] },
  }));
  const ask = async (who: JWTPayload, config: object = {}) =>
    (
      await directlyAs(who, "/-/whoami", {}, { config: { grants, ...config }, bindings: { VERSION: { id: "v7" } } })
    ).json();

  it("says roles, what they may decide about, and which version answers", async () => {
    expect(await ask(alice)).toMatchObject({ roles: [], approves: ["lead"], adminSignIn: false, version: "v7" });
    expect(await ask(admin)).toMatchObject({ roles: ["admin"], approves: ["sre"] });
    // A service token decides nothing.
    const ci = { common_name: "ci.access", sub: "", custom: { groups: ["developers"] } };
    expect(await ask(ci)).toMatchObject({ kind: "service token", approves: [] });
  });

  it("says the roles also at a cluster whose own identities have none", async () => {
    expect(await ask(admin, { cluster: undefined, clusters })).toMatchObject({
      ...{ cluster: "one", kubernetes: { groups: ["guests"] }, roles: ["admin"] },
    });
  });
});
