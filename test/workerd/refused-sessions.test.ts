import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ended, endedOf } from "./audit-rows.ts";
import { Client, frame } from "./client.ts";
import { as, directlyAs, HOST, IS_TCP, requestAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

const EXEC = (pod: string) => `/api/v1/namespaces/demo/pods/${pod}/exec?command=sh&stdout=true`;
const SPDY_MESSAGE =
  /^SPDY sessions are not supported: use kubectl 1\.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true/;

type Person = ReturnType<typeof someone>;

const firstHalf = (who: Person, path: string, attempt = "attempt-1") =>
  upgrade(who, path, { "Kubectl-Session": attempt });

/** The request that kubectl sends after a refused WebSocket. It shows the answer to this one. */
const secondHalf = (who: Person, path: string, attempt = "attempt-1") =>
  as(who, path, {
    method: "POST",
    headers: {
      Connection: "Upgrade",
      Upgrade: "SPDY/3.1",
      "X-Stream-Protocol-Version": "v4.channel.k8s.io",
      "Kubectl-Session": attempt,
    },
  });

describe("a session that the cluster refuses", () => {
  it("gets the cluster's own refusal, to the byte, and is in the audit log once", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = firstHalf(person, pod.path());
    await pod.request();
    const body =
      '{"kind":"Status","message":"pods \\"x\\" is forbidden: \u{1F6AA}","reason":"Forbidden","code":403}\n\n';
    pod.refuse(403, body, { "Content-Type": "application/json" });
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([403, body]);
    expect(response.headers.get("content-type")).toBe("application/json");

    const second = await secondHalf(person, pod.path());
    expect([second.status, await second.text()]).toEqual([403, body]);
    expect(second.headers.get("content-type")).toBe("application/json");
    await expectAudited(person, [
      { outcome: "refused", reason: 'pods "x" is forbidden: \u{1F6AA}', pod: pod.name, bytes_out: 0, exit_code: null },
    ]);
  });

  it.each([
    ["not-there", 404, 'pods "not-there" not found'],
    ["forbidden", 403, 'pods "forbidden" is forbidden: User cannot get resource "pods/exec"'],
    ["html", 500, "the cluster answered 200 instead of opening a stream"],
    ["redirect", 500, "the cluster answered 302 instead of opening a stream"],
    // A Worker that dies is answered for by its HTTP server, where it is reached by one.
    IS_TCP
      ? ["unreachable", 500, "Internal Server Error"]
      : ["unreachable", 503, "the cluster cannot be reached: try again; if this persists, contact your administrator"],
  ] satisfies [string, number, string][])(
    "(%s) gives both of kubectl's halves the same status and message, and is in the audit log once",
    async (pod, status, message) => {
      const person = someone();
      const log = vi.spyOn(console, "error").mockImplementation(() => {});
      for (const half of [firstHalf, secondHalf]) {
        const response = await half(person, EXEC(pod));
        expect(response.status).toBe(status);
        const text = await response.text();
        if (text !== message) expect(JSON.parse(text)).toMatchObject({ kind: "Status", status: "Failure", message });
      }
      await expectAudited(person, [{ outcome: "refused", reason: message }]);
      log.mockRestore();
    },
  );

  it.each([
    ["", "text/plain"],
    [" \r\n", "text/plain"],
  ])("without a word (%j) says something to both halves, and to the audit log", async (body, type) => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = firstHalf(person, pod.path());
    await pod.request();
    pod.refuse(502, body, { "Content-Type": type });
    const message = "the cluster answered 502 without saying why";
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([502, message]);
    const second = await secondHalf(person, pod.path());
    expect([second.status, await second.text()]).toEqual([502, message]);
    await expectAudited(person, [{ outcome: "refused", reason: message }]);
  });

  it("with a page gets it as text, and the audit log has none of it", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = firstHalf(person, pod.path());
    await pod.request();
    pod.refuse(404, "<html><script>alert(1)</script></html>", { "Content-Type": "text/html", "Set-Cookie": "a=b" });
    const response = await answer;
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(response.headers.get("set-cookie")).toBeNull();
    await expectAudited(person, [{ outcome: "refused", reason: "the cluster answered 404 without saying why" }]);
  });

  it("with what acts on a terminal gets the same words without it, and so does the audit log", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const answer = firstHalf(person, pod.path());
    await pod.request();
    const said = { kind: "Status", status: "Failure", message: "no\u001b]0;owned\u0007 such\u009b2J \u202epod" };
    pod.refuse(404, JSON.stringify(said), { "Content-Type": "application/json" });
    const message = "no ]0;owned  such 2J  pod";
    const response = await answer;
    expect([response.status, await response.json()]).toEqual([404, { ...said, message }]);
    await expectAudited(person, [{ outcome: "refused", reason: message }]);
  });

  it("is in the audit log under names that no terminal obeys, and that are no other's", async () => {
    const person = someone();
    const container = encodeURIComponent("shell\u001b[2J\u0000");
    const path = `/api/v1/namespaces/demo/pods/forbidden/exec?container=${container}&command=echo&command=%C2%9B2J`;
    expect((await firstHalf(person, path)).status).toBe(403);
    const [row] = await endedOf(person.email, 1);
    expect(row).toMatchObject({ pod: "forbidden", container: "shell\uFFFD[2J\uFFFD" });
    // The command is evidence: escaped, and exact.
    expect(row?.command).toEqual(["echo", "\u009b2J"]);
    const stored = await env.AUDIT_DB.prepare("SELECT command FROM sessions WHERE id = ?")
      .bind(row?.id)
      .first("command");
    expect(stored).not.toMatch(/\p{C}/u);
  });

  it("with a very long body is cut", async () => {
    const person = someone();
    const response = await firstHalf(person, EXEC("verbose"));
    expect(response.status).toBe(500);
    expect((await response.text()).length).toBeLessThanOrEqual(64 * 1024);
    const [row] = await endedOf(person.email, 1);
    expect(row?.reason?.length).toBeLessThanOrEqual(1_024);
  });

  it("more than 120 times within a minute is no longer asked, and does not fill the audit log", async () => {
    const person = someone();
    vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(console, "log").mockImplementation(() => {});
    for (let i = 0; i < 120; i++) expect((await upgrade(person, EXEC("forbidden"))).status).toBe(403);
    const pod = await Puppet.make({ hold: true });
    await expectStatus(await firstHalf(person, pod.path()), "TooManyRequests", /^the cluster refused too many/);
    for (let i = 0; i < 130; i++) expect((await upgrade(person, EXEC("forbidden"))).status).toBe(429);
    expect(pod.isAsked).toBe(false);
    const starts = env.AUDIT_DB.prepare("SELECT count(*) AS n FROM events WHERE user = ?").bind(person.email);
    await eventually(async () => expect(await starts.first("n")).toBe(240));
    vi.restoreAllMocks();
  });

  it("does not count against the person's limit", async () => {
    const person = someone();
    for (let i = 0; i < 4; i++) expect((await upgrade(person, EXEC("forbidden"))).status).toBe(403);
    const client = await Client.open(upgrade(person, EXEC("silent")));
    client.close();
  });
});

describe("a second half by SPDY gets only its own first half's answer", () => {
  it("not another person's", async () => {
    expect((await firstHalf(someone(), EXEC("forbidden"))).status).toBe(403);
    await expectStatus(await secondHalf(someone(), EXEC("forbidden")), "BadRequest", SPDY_MESSAGE);
  });

  it("not another pod's, command's or container's", async () => {
    const person = someone();
    expect((await firstHalf(person, EXEC("forbidden"))).status).toBe(403);
    for (const path of [EXEC("not-there"), `${EXEC("forbidden")}&command=id`, `${EXEC("forbidden")}&container=c`]) {
      await expectStatus(await secondHalf(person, path), "BadRequest", SPDY_MESSAGE);
    }
    await endedOf(person.email, 4);
  });

  it("not another kubectl run's", async () => {
    const person = someone();
    expect((await firstHalf(person, EXEC("forbidden"), "run-1")).status).toBe(403);
    await expectStatus(await secondHalf(person, EXEC("forbidden"), "run-2"), "BadRequest", SPDY_MESSAGE);
    expect((await secondHalf(person, EXEC("forbidden"), "run-1")).status).toBe(403);
  });

  it("and gets it once: a later SPDY attempt is a new one in the audit log", async () => {
    const person = someone();
    expect((await firstHalf(person, EXEC("forbidden"))).status).toBe(403);
    expect((await secondHalf(person, EXEC("forbidden"))).status).toBe(403);
    await expectStatus(await secondHalf(person, EXEC("forbidden")), "BadRequest", SPDY_MESSAGE);
    await endedOf(person.email, 2);
  });
});

describe("a client that supports SPDY only", () => {
  it.each(["POST", "GET"])("reads in a 400 which kubectl to use (%s), and is in the audit log once", async (method) => {
    const person = someone();
    const response = await as(person, EXEC("silent"), {
      method,
      headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1" },
    });
    await expectStatus(response, "BadRequest", SPDY_MESSAGE);
    await expectAudited(person, [{ outcome: "refused", reason: expect.stringMatching(SPDY_MESSAGE), pod: "silent" }]);
  });

  it("never reaches the cluster", async () => {
    const pod = await Puppet.make({ hold: true });
    const person = someone();
    await secondHalf(person, pod.path());
    await endedOf(person.email, 1);
    expect(pod.isAsked).toBe(false);
  });
});

describe("the limit of sessions at once", () => {
  const silent = (who: Person) => upgrade(who, EXEC("silent"));
  const messageFor = ({ email }: Person) =>
    `${email} has 3 of 3 allowed sessions open; kubectl get --raw /-/sessions  lists them, ` +
    "kubectl delete --raw /-/sessions/ID  ends one: then try again";

  it("refuses the fourth with a message for both halves, once in the audit log", async () => {
    const person = someone();
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Client.open(silent(person)));
    await expectStatus(await firstHalf(person, EXEC("silent")), "TooManyRequests", messageFor(person));
    await expectStatus(await secondHalf(person, EXEC("silent")), "TooManyRequests", messageFor(person));
    await expectAudited(person, [{ outcome: "refused", reason: messageFor(person) }]);
    for (const client of open) client.close();
  });

  it("does not ask the cluster for what it refuses", async () => {
    const person = someone();
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Client.open(silent(person)));
    const pod = await Puppet.make({ hold: true });
    expect((await upgrade(person, pod.path())).status).toBe(429);
    expect(pod.isAsked).toBe(false);
    for (const client of open) client.close();
  });

  it("admits another session as soon as one has ended, whoever ended it", async () => {
    const person = someone();
    const pod = await Puppet.make();
    const byCluster = await Client.open(upgrade(person, pod.path()));
    const byClient = await Client.open(silent(person));
    const third = await Client.open(silent(person));
    expect((await silent(person)).status).toBe(429);
    pod.close(1000);
    await byCluster.closed;
    const fourth = await Client.open(silent(person));
    expect((await silent(person)).status).toBe(429);
    byClient.close();
    await byClient.closed;
    const fifth = await Client.open(silent(person));
    for (const client of [third, fourth, fifth]) client.close();
  });

  it("holds against concurrent attempts", async () => {
    const person = someone();
    const answers = await Promise.all(Array.from({ length: 8 }, () => silent(person)));
    const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length;
    expect([count(101), count(429)]).toEqual([3, 5]);
    for (const answer of answers) if (answer.webSocket) (await Client.open(answer)).close();
  });

  it("counts a session that still waits for the cluster", async () => {
    const person = someone();
    const pods = await Promise.all([1, 2, 3].map(() => Puppet.make({ hold: true })));
    const pending = pods.map((pod) => upgrade(person, pod.path()));
    for (const pod of pods) await pod.request();
    expect((await silent(person)).status).toBe(429);
    for (const pod of pods) pod.refuse(404, "{}");
    for (const answer of pending) expect((await answer).status).toBe(404);
    (await Client.open(silent(person))).close();
  });

  it("is separate for each person", async () => {
    const person = someone();
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Client.open(silent(person)));
    open.push(await Client.open(silent(someone())));
    for (const client of open) client.close();
  });

  it("does not count a client that went away before the cluster answered", async () => {
    const person = someone();
    const pod = await Puppet.make({ hold: true });
    const leaving = new AbortController();
    const request = await requestAs(person, pod.path(), { headers: UPGRADE });
    const answer = env.EDGE.fetch(request, { signal: leaving.signal });
    await pod.request();
    leaving.abort();
    await expect(answer).rejects.toThrow();
    pod.accept();
    const [row] = await endedOf(person.email, 1);
    expect(row).toMatchObject({ outcome: "disconnected" });
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await Client.open(silent(person)));
    for (const client of open) client.close();
  });
});

it("sessions whose events would fill the audit log are refused, and nobody else's", async () => {
  const person = someone();
  // In the audit log each of these characters has six.
  const path = `${EXEC("forbidden")}&command=${"%01".repeat(5_000)}`;
  /** What is in the audit log once it has all sessions that were attempted. */
  const bytes = (attempts: number) =>
    eventually(async () => {
      const sql =
        "SELECT count(DISTINCT session_id) AS attempts, coalesce(sum(length(data)), 0) AS bytes FROM events WHERE user = ?";
      const row = await env.AUDIT_DB.prepare(sql).bind(person.email).first<{ attempts: number; bytes: number }>();
      expect(row?.attempts).toBe(attempts);
      return row?.bytes ?? 0;
    });
  let response = await upgrade(person, path);
  let attempts = 1;
  for (; response.status === 403; attempts++) {
    expect(attempts).toBeLessThan(100);
    response = await upgrade(person, path);
  }
  await expectStatus(response, "TooManyRequests", /^you have opened .* very much to log: try again in \d+ s$/);
  const before = await bytes(attempts);
  expect(before).toBeGreaterThan(2_000_000);
  for (let i = 0; i < 20; i++) expect((await upgrade(person, path)).status).toBe(429);
  // A refused command did not run, and only its beginning is kept.
  const after = await bytes(attempts + 20);
  expect(after).toBeGreaterThan(before + 20 * 10_000);
  expect(after).toBeLessThan(before + 21 * 15_000);
  (await Client.open(upgrade(someone(), EXEC("silent")))).close();
});

it("a session with a cluster that the object has no binding for is refused, and in the audit log", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const person = someone();
  const added = { name: "added", hostnames: [new URL(HOST).hostname], binding: "KUBE_API_ADDED" };
  const config = { cluster: undefined, clusters: [added] };
  const message =
    "this cluster was added while you had sessions open: end them and try again in a minute; " +
    "if this persists, contact your administrator";
  const response = await directlyAs(person, EXEC("echo"), { headers: UPGRADE }, { config });
  await expectStatus(response, "ServiceUnavailable", message);
  expect(log.mock.calls.flat().join("\n")).toContain('"detail":"no binding KUBE_API_ADDED"');
  vi.restoreAllMocks();
  await expectAudited(person, [{ outcome: "refused", reason: message, cluster: "added" }]);
});

describe("the edge refuses a request that does not open a session", () => {
  it.each([
    ["without an upgrade", {}, "exec requires a connection upgrade to WebSocket (kubectl 1.31 or later)"],
    [
      "with an upgrade to something else",
      { Connection: "Upgrade", Upgrade: "h2c" },
      "the Upgrade header names a protocol that is neither WebSocket nor SPDY/3.1",
    ],
  ])("%s", async (_, headers, message) => {
    await expectStatus(await as(someone(), EXEC("silent"), { headers }), "BadRequest", message);
  });
});

/**
 * Expects exactly these sessions of the person in D1. The object delivers in order, so once a further session
 * is there, nothing else is pending.
 */
async function expectAudited(person: Person, expected: object[]): Promise<void> {
  const last = await Puppet.make();
  const open = await upgrade(person, last.path());
  if (open.status === 101) {
    const client = await Client.open(open);
    client.send(frame(0, ""));
    client.close();
    await ended(client.sessionId);
  }
  const rows = await endedOf(person.email, expected.length + 1);
  expect(rows.slice(0, -1)).toEqual(expected.map((row) => expect.objectContaining(row)));
}
