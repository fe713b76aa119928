import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { makeSessionId } from "../../contract/session-id.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { eventually } from "../support/eventually.ts";
import { ended, endedOf, write } from "./audit-rows.ts";
import { Client, frame } from "./client.ts";
import { admin, alice, as, IS_TCP, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial } from "./statuses.ts";

const SESSIONS = "/-/admin/sessions";
const PODS = "/api/v1/namespaces/demo/pods";

interface Listed {
  readonly items: { readonly id: string; readonly state: string; readonly pod: string; readonly startedAt: string }[];
  readonly next: string | null;
}

async function list(query: Record<string, string>): Promise<Listed> {
  const response = await as(admin, `${SESSIONS}?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return response.json();
}

async function pods(query: Record<string, string>): Promise<string[]> {
  return (await list(query)).items.map(({ pod }) => pod);
}

/** Writes the starts of past sessions to D1, as a user's object would. */
async function writePastSessions(
  user: string,
  starts: { at: number; pod?: string; namespace?: string; kind?: string }[],
) {
  const objectId = env.USER_SESSIONS.idFromName(user).toString();
  const ids: string[] = [];
  for (const { at, pod = "web", namespace = "demo", kind = "exec" } of starts) {
    const id = makeSessionId(objectId, at, crypto.getRandomValues(new Uint8Array(10)));
    const target = {
      cluster: "test-cluster",
      location_hint: null,
      kind,
      namespace,
      pod,
      container: null,
      command: ["sh"],
      ports: [],
    };
    const recorded = { recording_mode: "output", rule: null, access_reason: null } as const;
    const who = { user, kubernetes_user: user, kubernetes_groups: [] };
    const from = { tty: false, stdin: false, client_address: null, country: null, user_agent: null };
    await write({ session_id: id, seq: 0, at, type: "start", data: { ...who, ...target, ...recorded, ...from } });
    ids.push(id);
  }
  return ids;
}

describe("the list of sessions", () => {
  it("filters by user, namespace, pod and kind, alone and together", async () => {
    const [one, two] = [someone().email, someone().email];
    await writePastSessions(one, [
      { at: 1_000, pod: "a", namespace: "demo", kind: "exec" },
      { at: 2_000, pod: "b", namespace: "prod", kind: "attach" },
      { at: 3_000, pod: "c", namespace: "prod", kind: "exec" },
    ]);
    await writePastSessions(two, [{ at: 1_500, pod: "a" }]);
    expect(await pods({ user: one })).toEqual(["c", "b", "a"]);
    expect(await pods({ user: one.toUpperCase() })).toEqual(["c", "b", "a"]);
    expect(await pods({ user: two })).toEqual(["a"]);
    expect(await pods({ user: one, namespace: "prod" })).toEqual(["c", "b"]);
    expect(await pods({ user: one, kind: "exec" })).toEqual(["c", "a"]);
    expect(await pods({ user: one, pod: "b" })).toEqual(["b"]);
    expect(await pods({ user: one, namespace: "prod", kind: "exec", pod: "c" })).toEqual(["c"]);
    expect(await pods({ user: one, namespace: "demo", kind: "attach" })).toEqual([]);
    expect(await pods({ user: `${one}' OR '1'='1` })).toEqual([]);
  });

  it("includes since and excludes until, in any time zone", async () => {
    const user = someone().email;
    const at = Date.parse("2026-03-01T12:00:00.000Z");
    await writePastSessions(user, [
      { at: at - 1, pod: "before" },
      { at, pod: "exactly" },
      { at: at + 1, pod: "after" },
    ]);
    const noon = "2026-03-01T12:00:00Z";
    expect(await pods({ user, since: noon })).toEqual(["after", "exactly"]);
    expect(await pods({ user, until: noon })).toEqual(["before"]);
    expect(await pods({ user, since: "2026-03-01T14:00:00.000+02:00" })).toEqual(["after", "exactly"]);
    expect(await pods({ user, since: noon, until: "2026-03-01T12:00:00.001Z" })).toEqual(["exactly"]);
  });

  it("tells live sessions from ended ones", async () => {
    const person = someone();
    const open = await Client.open(upgrade(person, `${PODS}/silent/exec?command=sh`));
    const over = await Client.open(upgrade(person, `${PODS}/exit-3/exec?command=sh`));
    await ended(over.sessionId);
    const { email: user } = person;
    await eventually(async () => expect(await pods({ user, state: "live" })).toEqual(["silent"]));
    expect(await pods({ user, state: "ended" })).toEqual(["exit-3"]);
    expect(await pods({ user, state: "all" })).toEqual(["exit-3", "silent"]);
    expect(await pods({ user })).toEqual(["exit-3", "silent"]);
    open.close();
    await ended(open.sessionId);
    expect(await pods({ user, state: "live" })).toEqual([]);
  });

  it.each([1, 2, 3, 7, 8])("returns every session once, newest first, in pages of %d", async (limit) => {
    const user = someone().email;
    // Three start in the same millisecond: their ids decide the order.
    const times = [1_000, 2_000, 2_000, 2_000, 3_000, 4_000, 4_000, 5_000];
    const ids = await writePastSessions(
      user,
      times.map((at) => ({ at })),
    );
    const seen: Listed["items"][number][] = [];
    for (let next: string | null = ""; next !== null; ) {
      const page: Listed = await list({ user, limit: String(limit), ...(next && { cursor: next }) });
      expect(page.items.length).toBeLessThanOrEqual(limit);
      seen.push(...page.items);
      next = page.next;
      if (seen.length > times.length) break;
    }
    expect(seen.length).toBe(ids.length);
    expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(ids));
    expect(seen.map(({ startedAt }) => Date.parse(startedAt))).toEqual(times.toReversed());
  });

  it("keeps its pages stable while new sessions start", async () => {
    const user = someone().email;
    const ids = await writePastSessions(user, [{ at: 1_000 }, { at: 2_000 }, { at: 3_000 }, { at: 4_000 }]);
    const first = await list({ user, limit: "2" });
    await writePastSessions(user, [{ at: 5_000 }, { at: 6_000 }]);
    const second = await list({ user, limit: "2", cursor: first.next ?? "" });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids.toReversed());
    expect(second.next).toBeNull();
  });

  it.each([
    ["state=open", "state"],
    ["limit=0", "limit"],
    ["limit=501", "limit"],
    ["limit=ten", "limit"],
    ["limit=1.5", "limit"],
    ["since=yesterday", "since"],
    ["since=2026-03-01", "since"],
    ["until=1700000000", "until"],
    ["cursor=x", "cursor"],
    ["cursor=1.%27%3B--", "cursor"],
    ["nmespace=demo", "nmespace"],
    ["user=a&user=b", "user"],
  ])("refuses %s and names the parameter", async (query, name) => {
    await expectApiDenial(await as(admin, `${SESSIONS}?${query}`), "bad_request", new RegExp(name));
  });
});

describe("one session", () => {
  it("is shown with its events in order", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/exit-3/exec?command=sh&command=-c&tty=true`));
    await ended(client.sessionId);
    const response = await as(admin, `${SESSIONS}/${client.sessionId}`);
    expect(await response.json()).toMatchObject({
      id: client.sessionId,
      state: "ended",
      command: ["sh", "-c"],
      tty: true,
      outcome: "exited",
      exitCode: 3,
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      events: [
        { seq: 0, type: "start", data: { pod: "exit-3" } },
        { seq: 1, type: "connect", data: { protocol: "v5.channel.k8s.io" } },
        { seq: 2, type: "end", data: { outcome: "exited", exit_code: 3 } },
      ],
    });
  });

  it("has events whose hashes anybody can check from what it shows", async () => {
    const client = await Client.open(upgrade(someone(), `${PODS}/exit-3/exec?command=sh`));
    await ended(client.sessionId);
    const response = await as(admin, `${SESSIONS}/${client.sessionId}`);
    const { events } = (await response.json()) as {
      events: { seq: number; type: string; at: string; data: object; prevHash: string; hash: string; raw: string }[];
    };
    expect(events).toHaveLength(3);
    for (const [index, { seq, type, at, data, prevHash, hash, raw }] of events.entries()) {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(raw)));
      expect([...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")).toBe(hash);
      // What was hashed is what is shown.
      const text = expect.any(String);
      const hashed = JSON.parse(raw) as unknown[];
      expect(hashed).toEqual([prevHash, client.sessionId, seq, Date.parse(at), type, text]);
      expect(JSON.parse(String(hashed[5]))).toEqual(data);
      if (index > 0) expect(prevHash).toBe(events[index - 1]?.hash);
    }
  });

  it("that is live is shown with its current counts", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(someone(), pod.path()));
    client.send(frame(0, "1234"));
    await eventually(() => expect(pod.received.length).toBe(1));
    const response = await as(admin, `${SESSIONS}/${client.sessionId}`);
    expect(await response.json()).toMatchObject({
      state: "live",
      bytesIn: 5,
      messagesIn: 1,
      bytesOut: 0,
      endedAt: null,
    });
    client.close();
  });

  it.each(["unknown", "A".repeat(64), "..%2f..", "%00", "x".repeat(2_000)])("called %s is not found", async (id) => {
    await expectApiDenial(await as(admin, `${SESSIONS}/${id}`), "not_found", "there is no session with this id");
  });

  it("with an invalid percent-encoding in its id is a bad request", async () => {
    await expectApiDenial(await as(admin, `${SESSIONS}/%E0%A4`), "bad_request", /percent-encoding/);
  });
});

describe("ending a session", () => {
  const silent = (who: ReturnType<typeof someone>) => Client.open(upgrade(who, `${PODS}/silent/exec?command=sh`));

  it("shows the user who and why, closes the cluster's side, and is over when the command is answered", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(someone(), pod.path("command=sh&tty=true")));
    const before = Date.now();
    const response = await as(admin, `${SESSIONS}/${client.sessionId}`, {
      method: "DELETE",
      body: JSON.stringify({ reason: "wrong cluster" }),
    });
    const answered = Date.now();
    expect([response.status, await response.json()]).toEqual([200, { ended: [client.sessionId] }]);
    const message = "session terminated by admin@example.com: wrong cluster";
    expect(await client.closed).toEqual({ code: 1000, reason: "" });
    expect((await pod.closed()).code).toBe(1001);
    expect(client.text(1)).toBe("\r\n");
    expect(JSON.parse(client.text(3))).toMatchObject({ status: "Failure", message });
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({
      outcome: "terminated",
      ended_by: "admin@example.com",
      reason: "wrong cluster",
      exit_code: null,
    });
    expect(row.ended_at).toBeGreaterThanOrEqual(before);
    expect(row.ended_at).toBeLessThanOrEqual(answered);
  });

  it("that forwards a port shows the message on the connection's error stream", async () => {
    const pod = await Puppet.make();
    const headers = { "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io" };
    const client = await Client.open(upgrade(someone(), pod.path("", "portforward"), headers));
    const streams = new HeaderBlockWriter();
    const open = (streamId: number, streamtype: string) =>
      encodeFrame(
        {
          ...{ type: "SYN_STREAM", streamId, associatedStreamId: 0, priority: 0, fin: false, unidirectional: false },
          headers: [
            ["streamtype", streamtype],
            ["port", "8080"],
            ["requestid", "0"],
          ],
        },
        streams,
      );
    client.send(open(1, "error"));
    client.send(open(3, "data"));
    await eventually(() => expect(pod.received.length).toBe(2));
    await as(admin, `${SESSIONS}/${client.sessionId}?reason=no`, { method: "DELETE" });
    const answered = Date.now();
    expect((await pod.closed()).code).toBe(1001);
    expect((await client.closed).code).toBe(1000);
    const parser = new SpdyFrameParser();
    expect(client.received.flatMap((message) => parser.push(message as Uint8Array))).toEqual([
      {
        ...{ type: "DATA", streamId: 1, fin: true },
        data: new TextEncoder().encode("session terminated by admin@example.com: no"),
      },
      { type: "DATA", streamId: 3, fin: true, data: new Uint8Array(0) },
    ]);
    const row = await ended(client.sessionId);
    expect(row).toMatchObject({ kind: "port-forward", outcome: "terminated", reason: "no" });
    expect(row.ended_at).toBeLessThanOrEqual(answered);
  });

  it("of one user ends all of theirs and no others", async () => {
    const [person, other] = [someone(), someone()];
    const clients = [await silent(person), await silent(person)];
    const bystander = await silent(other);
    const path = `/-/admin/users/${encodeURIComponent(person.email.toUpperCase())}/sessions?reason=laptop%20stolen`;
    const response = await as(admin, path, { method: "DELETE" });
    const { ended: ids }: { ended: string[] } = await response.json();
    expect(new Set(ids)).toEqual(new Set(clients.map(({ sessionId }) => sessionId)));
    for (const client of clients) {
      expect((await client.closed).code).toBe(1000);
      expect(JSON.parse(client.text(3)).message).toBe("session terminated by admin@example.com: laptop stolen");
      expect(await ended(client.sessionId)).toMatchObject({ outcome: "terminated", reason: "laptop stolen" });
    }
    // The list hears of a session within a second; the ends above were known at once.
    await eventually(async () => expect(await pods({ user: other.email, state: "live" })).toEqual(["silent"]));
    bystander.close();
    await bystander.closed;
    expect(bystander.received).toEqual([]);
  });

  it("of a user without sessions ends none", async () => {
    const response = await as(admin, `/-/admin/users/${someone().email}/sessions`, { method: "DELETE" });
    expect([response.status, await response.json()]).toEqual([200, { ended: [] }]);
  });

  it("that is still opening refuses both of the client's attempts with the message, and cancels the upstream request", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = upgrade(person, pod.path());
    await pod.request();
    const path = `/-/admin/users/${person.email}/sessions`;
    const response = await as(admin, path, { method: "DELETE", body: '{"reason":"now"}' });
    const { ended: ids }: { ended: string[] } = await response.json();
    expect(ids.length).toBe(1);
    const message = "session terminated by admin@example.com: now";
    const refused = await answer;
    expect([refused.status, await refused.json()]).toEqual([403, expect.objectContaining({ message })]);
    const second = await as(person, pod.path(), {
      method: "POST",
      headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1" },
    });
    expect([second.status, await second.json()]).toEqual([403, expect.objectContaining({ message })]);
    // workerd's HTTP server does not look for a client's FIN while it works on an answer; Go's does.
    if (!IS_TCP) await pod.cancelled();
    const [row] = await endedOf(person.email, 1);
    expect(row).toMatchObject({ outcome: "terminated", ended_by: "admin@example.com", reason: "now" });
  });

  it("lets the user open another at once", async () => {
    const person = someone();
    const clients = [await silent(person), await silent(person), await silent(person)];
    await as(admin, `${SESSIONS}/${clients[0]?.sessionId}`, { method: "DELETE" });
    clients.push(await silent(person));
    for (const client of clients) client.close();
  });

  it.each([
    [
      "that has ended",
      async () => {
        const client = await Client.open(upgrade(someone(), `${PODS}/exit-3/exec?command=sh`));
        await ended(client.sessionId);
        return client.sessionId;
      },
    ],
    [
      "that never existed",
      async () => makeSessionId(env.USER_SESSIONS.idFromName("x").toString(), 1, new Uint8Array(10)),
    ],
    ["of another deployment", async () => "A".repeat(64)],
    ["with an invalid id", async () => "garbled"],
  ])("%s is not found", async (_, id) => {
    const response = await as(admin, `${SESSIONS}/${await id()}`, { method: "DELETE" });
    await expectApiDenial(response, "not_found", "no live session has this id: it may have ended by itself");
  });

  it("twice at once succeeds once", async () => {
    const client = await silent(someone());
    const path = `${SESSIONS}/${client.sessionId}`;
    const answers = await Promise.all([as(admin, path, { method: "DELETE" }), as(admin, path, { method: "DELETE" })]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 404]));
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "terminated" });
  });

  it.each<[string, { query?: string; body?: string }, string]>([
    ["in the body", { body: '{"reason":"from the body"}' }, "from the body"],
    ["in the query", { query: "?reason=from+the+query" }, "from the query"],
    ["in both: the body wins", { query: "?reason=query", body: '{"reason":"body"}' }, "body"],
    ["that is missing", {}, "no reason given"],
    ["that is blank", { query: "?reason=%20%20" }, "no reason given"],
    ["missing from the body", { body: "{}" }, "no reason given"],
    // Without this an administrator could send commands to another user's terminal.
    ["with control characters", { body: '{"reason":"a\\u001b[2Jb\\r\\nc\\u0007\\u202ed"}' }, "a [2Jb c d"],
    ["too long", { body: JSON.stringify({ reason: "x".repeat(5_000) }) }, "x".repeat(500)],
  ])("takes the reason %s", async (_, { query = "", body = null }, reason) => {
    const client = await silent(someone());
    const response = await as(admin, `${SESSIONS}/${client.sessionId}${query}`, { method: "DELETE", body });
    expect(response.status).toBe(200);
    await client.closed;
    expect(JSON.parse(client.text(3)).message).toBe(`session terminated by admin@example.com: ${reason}`);
    expect((await ended(client.sessionId)).reason).toBe(reason);
  });

  it.each([
    ["text", "because"],
    ["a list", '["because"]'],
    ["null", "null"],
    ["a reason that is no string", '{"reason":5}'],
    ["more than 16 KiB", `{"reason":"${"x".repeat(16 * 1024)}"}`],
  ])("refuses a body that is %s, and ends nothing", async (_, body) => {
    const client = await silent(someone());
    const path = `${SESSIONS}/${client.sessionId}`;
    await expectApiDenial(
      await as(admin, path, { method: "DELETE", body }),
      "bad_request",
      /^(the body must be|reason in the body: expected string)/,
    );
    expect((await as(admin, path, { method: "DELETE" })).status).toBe(200);
  });
});

describe("the admin API is for administrators", () => {
  it.each([
    ["GET", SESSIONS, "admin or auditor"],
    ["GET", `${SESSIONS}/x`, "admin or auditor"],
    // Auditors may end what they watch, where it must be watched.
    ["DELETE", `${SESSIONS}/x`, "admin or auditor"],
    ["DELETE", "/-/admin/users/alice@example.com/sessions", "admin"],
    ["GET", "/-/admin/unknown", "admin or auditor"],
  ])("refuses others: %s %s", async (method, path, role) => {
    const needs = `this requires the role ${role}, which alice@example.com does not have`;
    await expectApiDenial(await as(alice, path, { method }), "not_admin", `${needs}: contact your administrator`);
  });

  it("does not let users end even their own sessions", async () => {
    const person = someone();
    const client = await Client.open(upgrade(person, `${PODS}/silent/exec?command=sh`));
    const response = await as(person, `${SESSIONS}/${client.sessionId}`, { method: "DELETE" });
    expect(response.status).toBe(403);
    expect((await as(admin, `${SESSIONS}/${client.sessionId}`, { method: "DELETE" })).status).toBe(200);
  });
});

describe("the admin API's paths", () => {
  it.each([
    ["POST", SESSIONS, "GET"],
    ["DELETE", SESSIONS, "GET"],
    ["PUT", `${SESSIONS}/x`, "GET, DELETE"],
    ["GET", "/-/admin/users/a@b.c/sessions", "DELETE"],
    ["OPTIONS", SESSIONS, "GET"],
  ])("have only their own methods: %s %s", async (method, path, allowed) => {
    const response = await as(admin, path, { method });
    expect(response.headers.get("allow")).toBe(allowed);
    await expectApiDenial(response, "method_not_served", `use ${allowed}`);
  });

  it.each([
    "/-/",
    "/-/admin",
    "/-/admin/",
    `${SESSIONS}/`,
    `${SESSIONS}/a/b`,
    "/-/admin/users/a@b.c",
    "/-/admin/users//sessions",
  ])("have no others beside them: %s", async (path) => {
    await expectApiDenial(await as(admin, path), "not_found", /^there is no \/-\//);
  });

  it("are never the cluster's, not even with an upgrade", async () => {
    expect((await as(admin, "/-/exec", { headers: UPGRADE })).status).toBe(404);
  });

  it.each(["POST", "DELETE"])("include health, which is only read (not by %s)", async (method) => {
    const response = await as(admin, "/-/healthz", { method });
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    await expectApiDenial(response, "method_not_served", "use GET, HEAD");
  });
});
