/** Sessions that go on only while somebody watches them, over both ways to the cluster. */
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { userObjectName } from "../../contract/placement.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { attachSessionPlan, type SessionPlan } from "../../contract/session-plan.ts";
import type { UpstreamTransport } from "../../contract/upstream.ts";
import { Channel } from "../../kubernetes/channels.ts";
import { encodeFrame } from "../../kubernetes/spdy/encoder.ts";
import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../kubernetes/spdy/header-block.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { PLAN } from "../support/session-plan.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, expectStatus } from "./statuses.ts";
import { brokenLinks } from "./user-events.ts";
import { recordedText, WATCH_UPGRADE, Watcher, watchPath } from "./watcher.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const MUST_BE_WATCHED =
  /^sallyport: this session must be watched, and waits for up to \S+ for somebody\. Ctrl-C gives up\.\r?\nsallyport: auditors and administrators may: kubectl sallyport watch [\w-]{64}\r?\n$/;
const FROZEN = "sallyport: nobody watches this session, so nothing passes. It ends in 5m unless somebody does.";

afterEach(() => void vi.restoreAllMocks());

interface Wishes {
  readonly transport?: UpstreamTransport;
  readonly waitMs?: number;
  readonly protocol?: string;
  /** The pod answers an upgrade when it is told to. */
  readonly hold?: boolean;
  readonly subresource?: string;
  readonly target?: Partial<SessionPlan["target"]>;
  readonly limits?: Partial<SessionPlan["limits"]>;
  readonly plan?: Partial<SessionPlan>;
}

/** A session that must be watched, with its pod. */
async function attempt(wishes: Wishes = {}) {
  const user = `dev-${crypto.randomUUID()}@example.com`;
  const { transport = "tcp", waitMs = 300_000, protocol = "v5.channel.k8s.io", subresource = "exec" } = wishes;
  const pod = await Puppet.make({ protocol, hold: wishes.hold ?? false });
  const object = env.USER_SESSIONS.getByName(userObjectName(user, null));
  const headers = new Headers({ ...UPGRADE, "Sec-WebSocket-Protocol": protocol });
  for (const [name, value] of PLAN.impersonation) headers.append(name, value);
  const tcp = (env.SALLYPORT_CONFIG as { tcpBinding: string }).tcpBinding;
  attachSessionPlan(headers, {
    ...PLAN,
    user,
    sessionId: makeSessionId(object.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10))),
    upstream: { ...PLAN.upstream, transport, tcpBinding: tcp },
    recording: { ...PLAN.recording, mode: "off" },
    limits: { ...PLAN.limits, idleTimeoutSeconds: 600, maxBufferedStdinBytes: 1024 * 1024, ...wishes.limits },
    target: { ...PLAN.target, tty: false, stderr: true, ...wishes.target },
    tellOfWatchers: false,
    moderation: { waitMs, person: { user, subject: `sub-${user}`, kubernetesUser: `kube-${user}` } },
    ...wishes.plan,
  });
  const response = await object.fetch(`http://cluster${pod.path(undefined, subresource)}`, { headers });
  return { user, object, pod, response };
}

async function opened(wishes: Wishes = {}) {
  const { response, ...rest } = await attempt(wishes);
  const client = await Client.open(response);
  return { ...rest, client, id: client.sessionId };
}

/** Reads what a person is told, who has no terminal. */
const told = (client: Client) => client.text(Channel.stderr);

/** The freezes and thaws of a user's sessions, once there are `count` of them. */
function freezesOf(user: string, count: number) {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT type, data FROM events WHERE user = ? AND type IN ('freeze', 'thaw') ORDER BY row_number",
    )
      .bind(user)
      .all<{ type: string; data: string }>();
    expect(results.length).toBe(count);
    return results.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
  });
}

/** Waits until everything that was sent before has been handled by the object. */
const settled = (object: Awaited<ReturnType<typeof attempt>>["object"]) => askUserObject(object, "list", {});

describe.each(["tcp", "websocket"] as const)("a session that must be watched, over %s", (transport) => {
  it("begins with its first watcher, and the cluster hears nothing before", async () => {
    const { client, pod, id, user, object } = await opened({ transport });
    await eventually(() => expect(told(client)).toMatch(MUST_BE_WATCHED));
    expect(told(client)).toContain(`kubectl sallyport watch ${id}\n`);
    client.send(frame(0, "in"));
    expect(await settled(object)).toMatchObject([{ id, waits_for: "watcher" }]);
    expect(pod.isAsked).toBe(false);

    await Watcher.open(admin, id);
    await pod.request();
    await eventually(() => expect(told(client)).toContain("sallyport: this session is watched.\n"));
    await eventually(() => expect(pod.received).toEqual([frame(0, "in")]));
    expect(await settled(object)).toMatchObject([{ waits_for: null }]);
    pod.send(frame(1, "out"));
    pod.send(SUCCESS);
    pod.close(1000);
    await client.closed;
    expect(client.text(Channel.stdout)).toBe("out");
    expect(await ended(id)).toMatchObject({ outcome: "exited", exit_code: 0 });
    expect((await eventsOf(id)).map(({ type }) => type)).toEqual(["start", "connect", "end"]);
    expect((await eventsOf(id))[0]?.data).toMatchObject({ watch_required: true });
    const about = { user, session: id };
    expect(await freezesOf(user, 2)).toEqual([
      {
        ...{ type: "freeze", ...about, cluster: "test", kind: "exec", namespace: "demo", pod: "web", left: null },
        until: expect.any(Number),
      },
      { type: "thaw", ...about, by: "admin@example.com", waited_ms: expect.any(Number) },
    ]);
    expect(await brokenLinks(user)).toEqual([]);
  });

  it("says that it is watched once the cluster has answered, and drops nothing that is typed after", async () => {
    const { client, pod, id, object } = await opened({ transport, hold: true, target: { tty: true } });
    const shown = () => client.text(Channel.stdout);
    await eventually(() => expect(shown()).toContain("must be watched"));
    await Watcher.open(admin, id);
    await pod.request();
    client.send(frame(0, "typed too early\r"));
    await settled(object);
    expect(shown()).not.toContain("is watched");
    pod.accept();
    await eventually(() => expect(shown()).toContain("sallyport: this session is watched.\r\n"));
    client.send(frame(0, "ls\r"));
    await eventually(() => expect(pod.received).toEqual([frame(0, "ls\r")]));
    client.close();
  });

  it("whose watcher leaves before the cluster has answered says so, and goes on with the next one", async () => {
    const { client, pod, id, object } = await opened({ transport, hold: true, target: { tty: true } });
    const shown = () => client.text(Channel.stdout);
    const first = await Watcher.open(admin, id);
    await pod.request();
    first.close();
    await eventually(() => expect(shown()).toContain("nobody watches this session, so nothing passes"));
    pod.accept();
    pod.send(frame(1, "prompt "));
    client.send(frame(0, "typed too early\r"));
    await settled(object);
    expect(shown()).not.toMatch(/is watched|prompt/);
    await Watcher.open(admin, id);
    await eventually(() => expect(shown()).toMatch(/it goes on\.\r\nprompt $/));
    expect(shown()).not.toContain("is watched");
    client.send(frame(0, "ls\r"));
    await eventually(() => expect(pod.received).toEqual([frame(0, "ls\r")]));
    client.close();
  });

  it("is frozen when the last watcher leaves: nothing passes until somebody comes, and then everything", async () => {
    const { client, pod, id, user, object } = await opened({ transport });
    const [first, second] = [await Watcher.open(admin, id), await Watcher.open(admin, id)];
    await pod.request();
    pod.send(frame(1, "before "));
    await eventually(() => expect(client.text(Channel.stdout)).toBe("before "));
    first.close();
    pod.send(frame(1, "with one "));
    await eventually(() => expect(client.text(Channel.stdout)).toBe("before with one "));
    second.close();
    await eventually(() => expect(told(client)).toContain(`${FROZEN}\n`));
    expect(await settled(object)).toMatchObject([{ waits_for: "watcher" }]);
    pod.send(frame(1, "secret "));
    pod.send(frame(2, "hidden "));
    client.send(frame(0, "in 1 "));
    client.send(frame(0, "in 2 "));
    client.send(Uint8Array.of(255, 0));
    for (let round = 0; round < 5; round++) await settled(object);
    expect(client.text(Channel.stdout)).toBe("before with one ");
    expect(told(client)).not.toContain("hidden");
    expect(pod.received).toEqual([]);

    const third = await Watcher.open(admin, id);
    await eventually(() => expect(client.text(Channel.stdout)).toBe("before with one secret "));
    await eventually(() => expect(told(client)).toContain("somebody watches this session again: it goes on.\nhidden "));
    const stdin = () => (pod.received as Uint8Array[]).map((bytes) => new TextDecoder().decode(bytes)).join("");
    await eventually(() => expect(stdin()).toBe("\0in 1 in 2 \ufffd\0"));
    await third.shows("secret ");
    const events = await freezesOf(user, 4);
    expect(events.map(({ type, left, by }) => [type, left ?? by ?? null])).toEqual([
      ...[
        ["freeze", null],
        ["thaw", "admin@example.com"],
      ],
      ...[
        ["freeze", "admin@example.com"],
        ["thaw", "admin@example.com"],
      ],
    ]);
    client.close();
  });

  it("whose command ends while it is frozen ends with what it printed once somebody watches", async () => {
    const { client, pod, id, object } = await opened({ transport });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    pod.send(frame(1, "last words"));
    pod.send(SUCCESS);
    pod.close(1000);
    for (let round = 0; round < 5; round++) await settled(object);
    expect([client.text(Channel.stdout), client.text(Channel.error)]).toEqual(["", ""]);
    await Watcher.open(admin, id);
    await client.closed;
    expect(client.text(Channel.stdout)).toBe("last words");
    expect(await ended(id)).toMatchObject({ outcome: "exited", exit_code: 0 });
  });

  it("ends, without a word of what was held, when nobody comes again", async () => {
    const { client, pod, id } = await opened({ transport, waitMs: 2_500 });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(told(client)).toContain("nobody watches this session"));
    pod.send(frame(1, "secret"));
    pod.send(SUCCESS);
    expect(await client.closed).toMatchObject({ code: 1000 });
    const said = "nobody watched this session again within 3s, and it must be watched";
    expect(JSON.parse(client.text(Channel.error))).toMatchObject({ status: "Failure", message: said });
    expect(client.text(Channel.stdout)).toBe("");
    expect(await ended(id)).toMatchObject({ outcome: "not_watched", reason: said, exit_code: null });
    expect(await pod.closed()).toMatchObject({ code: 1001 });
  });

  it("carries a port-forward's pings while it is frozen, and none of its data", async () => {
    const { client, pod, id, object } = await opened({
      ...{ transport, protocol: TUNNEL, subresource: "portforward" },
      target: { sessionKind: "port-forward", command: [], stdin: false, stdout: false, stderr: false },
    });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    const writers = { client: new HeaderBlockWriter(), pod: new HeaderBlockWriter() };
    const sent: Record<"toPod" | "toClient", Uint8Array[]> = { toPod: [], toClient: [] };
    const say = (...frames: SpdyFrame[]) => {
      for (const bytes of frames.map((one) => encodeFrame(one, writers.client))) {
        sent.toPod.push(bytes);
        client.send(bytes);
      }
    };
    const answer = (...frames: SpdyFrame[]) => {
      for (const bytes of frames.map((one) => encodeFrame(one, writers.pod))) {
        sent.toClient.push(bytes);
        pod.send(bytes);
      }
    };
    const bytesOf = (messages: readonly (Uint8Array | string)[]) =>
      (messages as Uint8Array[]).flatMap((one) => [...one]);
    const stream = (streamId: number, streamtype: string): SpdyFrame => ({
      ...{ type: "SYN_STREAM", streamId, associatedStreamId: 0, priority: 0, fin: false, unidirectional: false },
      headers: [
        ["streamtype", streamtype],
        ["port", "80"],
        ["requestid", String(Math.ceil(streamId / 4))],
      ],
    });
    const data = (streamId: number, text: string): SpdyFrame => ({
      ...{ type: "DATA", streamId, fin: false, data: new TextEncoder().encode(text) },
    });
    say(stream(1, "error"), stream(3, "data"), data(3, "GET / "));
    await eventually(() => expect(bytesOf(pod.received)).toEqual(bytesOf(sent.toPod)));
    // Half of a frame arrives before it is frozen, in either direction.
    const half = encodeFrame(data(3, "HTTP/1.1 200 secret"), writers.pod);
    pod.send(half.subarray(0, 20));
    await eventually(() => expect(bytesOf(client.received).length).toBe(20));
    watcher.close();
    await eventually(async () => expect(await settled(object)).toMatchObject([{ waits_for: "watcher" }]));
    const [before, beforePod] = [bytesOf(client.received), bytesOf(pod.received)];
    pod.send(half.subarray(20));
    answer({ type: "PING", id: 2 }, data(3, "more secret"), { type: "PING", id: 4 });
    say(data(3, "Host: web"), { type: "PING", id: 1 }, stream(5, "error"), { type: "PING", id: 3 });
    const pings = (...ids: number[]) => ids.flatMap((id) => [...encodeFrame({ type: "PING", id }, writers.pod)]);
    await eventually(() => expect(bytesOf(client.received)).toEqual([...before, ...pings(2, 4)]));
    await eventually(() => expect(bytesOf(pod.received)).toEqual([...beforePod, ...pings(1, 3)]));

    await Watcher.open(admin, id);
    const shown = () => new TextDecoder().decode(Uint8Array.from(bytesOf(client.received)));
    await eventually(() => expect(shown()).toMatch(/HTTP\/1\.1 200.* secret.*more secret/s));
    await eventually(() =>
      expect(new TextDecoder().decode(Uint8Array.from(bytesOf(pod.received)))).toContain("Host: web"),
    );
    client.close();
    expect(await ended(id)).toMatchObject({
      outcome: "disconnected",
      forwards: [{ port: 80, connections: 1, bytes_in: 15, bytes_out: 30, errors: 0, first_error: null }],
    });
  });

  it("that prints much while it is frozen is held within a bound", async () => {
    const { client, pod, id, object } = await opened({ transport });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    const piece = new Uint8Array(256 * 1024).fill(0x61);
    const pieces = 40;
    for (let sent = 0; sent < pieces; sent++) pod.send(frame(1, piece));
    if (transport === "websocket") {
      // The platform cannot be told to wait.
      await client.closed;
      expect(client.text(Channel.stdout)).toBe("");
      const reason = "session ended: nobody watches it, and as much of its output waits as may be held";
      expect(await ended(id)).toMatchObject({ outcome: "stalled", reason });
      return;
    }
    for (let round = 0; round < 5; round++) await settled(object);
    expect(client.text(Channel.stdout)).toBe("");
    await Watcher.open(admin, id);
    await eventually(() => expect(client.text(Channel.stdout).length).toBe(pieces * piece.length));
    client.close();
  });
});

describe("on a terminal", () => {
  const SHELL: Wishes = { target: { tty: true, stderr: false, command: ["sh"] } };

  it("what is typed while nobody watches is dropped, and the last size is kept", async () => {
    const { client, pod, id, object } = await opened(SHELL);
    client.send(frame(4, '{"Width":80,"Height":24}'));
    client.send(frame(0, "rm -rf /\r"));
    await settled(object);
    const watcher = await Watcher.open(admin, id);
    await eventually(() => expect(pod.received).toEqual([frame(4, '{"Width":80,"Height":24}')]));
    watcher.close();
    await eventually(() => expect(client.text(Channel.stdout)).toContain(`\r\n${FROZEN}\r\n`));
    client.send(frame(0, "rm -rf /\r"));
    client.send(frame(4, '{"Width":120,"Height":40}'));
    // So soon it was meant for the command.
    client.send(frame(0, "\u0003"));
    await settled(object);
    await Watcher.open(admin, id);
    await eventually(() => expect(client.text(Channel.stdout)).toContain("watches this session again: it goes on."));
    client.send(frame(0, "ls\r"));
    const sent = [frame(4, '{"Width":80,"Height":24}'), frame(4, '{"Width":120,"Height":40}'), frame(0, "ls\r")];
    await eventually(() => expect(pod.received).toEqual(sent));
    client.close();
  });

  it("Ctrl-C gives up before it begins", async () => {
    const { client, pod, id } = await opened(SHELL);
    await eventually(() => expect(client.text(Channel.stdout)).toMatch(MUST_BE_WATCHED));
    client.send(frame(0, "\u0003"));
    await client.closed;
    const reason = "given up while it waited for somebody who watches it";
    expect(JSON.parse(client.text(Channel.error)).message).toBe(reason);
    expect(await ended(id)).toMatchObject({ outcome: "not_watched", reason });
    expect(pod.isAsked).toBe(false);
  });

  it("Ctrl-C leaves it while it is frozen", async () => {
    const { client, pod, id } = await opened(SHELL);
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(client.text(Channel.stdout)).toContain(FROZEN));
    await eventually(() => {
      client.send(frame(0, "\u0003"));
      expect(client.hungUp).toMatchObject({ code: 1000 });
    });
    expect(await ended(id)).toMatchObject({ outcome: "not_watched" });
    expect(pod.received).toEqual([]);
  });
});

describe("a session that must be watched", () => {
  it("ends when nobody comes at the beginning, and the cluster never hears of it", async () => {
    const { client, pod, id, user } = await opened({ waitMs: 1_500 });
    expect(await client.closed).toMatchObject({ code: 1000 });
    const reason = "nobody watched this session within 2s, and it must be watched";
    expect(JSON.parse(client.text(Channel.error)).message).toBe(reason);
    expect(await ended(id)).toMatchObject({ outcome: "not_watched", reason, bytes_out: 0 });
    expect(pod.isAsked).toBe(false);
    expect(await freezesOf(user, 1)).toMatchObject([{ type: "freeze", left: null }]);
  });

  it("is neither idle nor stalled while it is frozen, but its duration counts", async () => {
    const limits = { idleTimeoutSeconds: 2, stallTimeoutSeconds: 2, maxDurationSeconds: 6 };
    const { client, pod, id } = await opened({ limits });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    const begun = Date.now();
    watcher.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    client.send(frame(0, "waits"));
    await client.closed;
    expect(Date.now() - begun).toBeGreaterThan(4_500);
    expect(await ended(id)).toMatchObject({ outcome: "duration_limit" });
    expect(pod.received).toEqual([]);
  });

  it("is ended by an administrator while it is frozen, and shows nothing of what was held", async () => {
    const { client, pod, id } = await opened();
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    pod.send(frame(1, "secret"));
    expect((await as(admin, `/-/admin/sessions/${id}`, { method: "DELETE" })).status).toBe(200);
    await client.closed;
    expect(client.text(Channel.stdout)).toBe("");
    expect(await ended(id)).toMatchObject({ outcome: "terminated", ended_by: "admin@example.com" });
  });

  it("takes no place before it begins", async () => {
    const limits = { maxSessionsPerUser: 1 };
    const { client, object, user } = await opened({ limits });
    expect(await askUserObject(object, "list", {})).toHaveLength(1);
    const headers = new Headers({ ...UPGRADE });
    const sessionId = makeSessionId(object.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10)));
    const running = await Puppet.make();
    attachSessionPlan(headers, {
      ...{ ...PLAN, user, sessionId, limits: { ...PLAN.limits, ...limits } },
      ...{ upstream: { ...PLAN.upstream, transport: "websocket" }, recording: { ...PLAN.recording, mode: "off" } },
    });
    const beside = await Client.open(object.fetch(`http://cluster${running.path()}`, { headers }));
    await Watcher.open(admin, client.sessionId);
    await client.closed;
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "refused", reason: /1 of 1 allowed sessions open/ });
    beside.close();
  });

  it.each([
    ["a virtual machine's console", "console" as const, "plain.kubevirt.io", "dropped"],
    ["a virtual machine's screen", "vnc" as const, "plain.kubevirt.io", "stored"],
    ["a port-forward in channels", "port-forward" as const, "v4.channel.k8s.io", "stored"],
  ])("may be %s", async (_, sessionKind, protocol, input) => {
    const { client, pod, id, object } = await opened({ protocol, target: { sessionKind, command: [] } });
    client.send(frame(0, "in"));
    await settled(object);
    expect(pod.isAsked).toBe(false);
    const watcher = await Watcher.open(admin, id);
    expect((await pod.request()).headers["sec-websocket-protocol"]).toBe(protocol);
    pod.send(Uint8Array.of(0, 80, 0));
    await eventually(() => expect(client.received.at(-1)).toEqual(Uint8Array.of(0, 80, 0)));
    watcher.close();
    await eventually(async () => expect(await settled(object)).toMatchObject([{ waits_for: "watcher" }]));
    client.send(frame(0, "later"));
    pod.send(frame(0, "secret"));
    for (let round = 0; round < 5; round++) await settled(object);
    expect(client.received).not.toContainEqual(frame(0, "secret"));
    await Watcher.open(admin, id);
    await eventually(() => expect(client.received).toContainEqual(frame(0, "secret")));
    client.send(frame(0, "now"));
    const expected = input === "stored" ? [frame(0, "in"), frame(0, "later"), frame(0, "now")] : [frame(0, "now")];
    await eventually(() => expect(pod.received).toEqual(expected));
    client.close();
  });

  it("cannot be a WebSocket to a workload, and the cluster hears nothing of it", async () => {
    const { response, pod } = await attempt({ target: { sessionKind: "proxy", command: [] }, protocol: "chat" });
    await expectStatus(response, "ServiceUnavailable", /cannot be/);
    expect(pod.isAsked).toBe(false);
  });

  it("ends where its port-forward cannot be read, whatever the configuration says", async () => {
    const { client, pod, id } = await opened({
      ...{ protocol: TUNNEL, subresource: "portforward" },
      target: { sessionKind: "port-forward", command: [] },
      plan: { portForward: { onUnreadable: "continue" } },
    });
    await Watcher.open(admin, id);
    await pod.request();
    client.send(Uint8Array.of(0x80, 3, 0, 6, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 3));
    await client.closed;
    expect(await ended(id)).toMatchObject({ outcome: "protocol_error" });
    expect(pod.received).toEqual([]);
  });
});

const AUDITOR: JWTPayload = { email: "auditor@example.com", sub: "uid-auditor" };
const RULES: ConfigInput["rules"] = [
  { name: "moderated", match: { kinds: ["exec"] }, action: "allow", watch: { required: true } },
];
/** A document in which the developer is an auditor too. */
const configFor = (email: string): Partial<ConfigInput> => ({
  rules: RULES,
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
    { match: { email: AUDITOR["email"] as string }, groups: ["auditors"], roles: ["auditor"] },
    { match: { email }, groups: ["developers"], roles: ["auditor"] },
    { match: { email: `second-${email}` }, user: email, groups: ["developers"], roles: ["auditor"] },
    { match: { serviceToken: "ci" }, user: "ci", groups: ["ci"], roles: ["admin"] },
    { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
  ],
});

/** A session by the edge. @returns with how somebody asks it in the same document */
async function byEdge() {
  const person = someone();
  const config = configFor(person.email);
  const pod = await Puppet.make();
  const ask = (who: JWTPayload, path: string, init: RequestInit = {}) => directlyAs(who, path, init, { config });
  const client = await Client.open(ask(person, pod.path(), { headers: UPGRADE }));
  const id = client.sessionId;
  const watch = async (who: JWTPayload) => Watcher.of(await ask(who, watchPath(id), { headers: WATCH_UPGRADE }));
  await eventually(() => expect(told(client)).toMatch(MUST_BE_WATCHED));
  return { person, pod, client, id, ask, watch };
}

describe("as somebody who watches does not count", () => {
  it.each([
    ["the session's own person", (person: JWTPayload) => person],
    ["… in other letters", (person: JWTPayload) => ({ ...person, email: String(person["email"]).toUpperCase() })],
    ["… with another address, but the same sign-in", ({ sub }: JWTPayload) => ({ ...AUDITOR, sub: sub as string })],
    [
      "… with another sign-in that is the same user of the cluster",
      ({ email }: JWTPayload) => ({ email: `second-${String(email)}`, sub: "uid-second" }),
    ],
  ])("%s", async (_, whoOf) => {
    const { person, pod, client, watch } = await byEdge();
    const own = await watch(whoOf(person));
    await own.shows("this session must be watched by somebody else: you do not count, because it is your own");
    expect(pod.isAsked).toBe(false);
    const other = await watch(AUDITOR);
    await pod.request();
    expect(other.shown).not.toContain("you do not count");
    // And does not keep it going.
    other.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    client.close();
  });

  it("… with another sign-in that is the same user at another cluster alone, where neither has a session", async () => {
    const person = someone();
    const twin = { ...someone(), custom: {} };
    const neighbour = { ...someone(), custom: {} };
    const isOf = (email: string, user: string) => ({ match: { email }, user, groups: ["developers"] });
    const shared = `shared-${person.sub}`;
    const auditors = [twin, neighbour].map(({ email }) => ({ match: { email }, roles: ["auditor" as const] }));
    const clusters = [
      { name: "here", hostnames: ["sallyport.example.com"], binding: "KUBE_API" },
      {
        ...{ name: "there", hostnames: ["there.example.com"], binding: "KUBE_API" },
        identities: [isOf(person.email, shared), isOf(twin.email, shared), isOf(neighbour.email, "another")],
      },
    ];
    const { identities = [] } = configFor(person.email);
    const own = [...auditors, ...identities];
    const config = { cluster: undefined, clusters, rules: RULES, identities: own } as Partial<ConfigInput>;
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config }));
    const path = watchPath(client.sessionId);
    const watch = async (who: JWTPayload) =>
      Watcher.of(await directlyAs(who, path, { headers: WATCH_UPGRADE }, { config }));
    const own2 = await watch(twin);
    await own2.shows("this session must be watched by somebody else: you do not count, because it is your own");
    expect(pod.isAsked).toBe(false);
    await watch(neighbour);
    await pod.request();
    client.close();
  });

  it("a service token, though it is an administrator", async () => {
    const { pod, watch, client } = await byEdge();
    const token = await watch({ common_name: "ci", sub: "" });
    await token.shows("must be watched by a person: you do not count");
    expect(pod.isAsked).toBe(false);
    client.close();
  });

  it("who has no role, and is shown nothing", async () => {
    const { pod, ask, id, client } = await byEdge();
    const other = { ...someone(), custom: { groups: ["developers"] } };
    expect((await ask(other, watchPath(id), { headers: WATCH_UPGRADE })).status).toBe(403);
    expect(pod.isAsked).toBe(false);
    client.close();
  });
});

describe("an auditor", () => {
  it("counts while they read lines without a WebSocket, as the plugin does, and no longer", async () => {
    const { pod, ask, id, client } = await byEdge();
    const response = await ask(AUDITOR, watchPath(id));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await pod.request();
    pod.send(frame(1, "shown"));
    await eventually(() => expect(client.text(Channel.stdout)).toBe("shown"));
    await reader.cancel();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    client.close();
  });

  it("ends a session that must be watched while they watch it, and only then", async () => {
    const { pod, client, id, ask, watch } = await byEdge();
    const end = () =>
      ask(AUDITOR, `/-/admin/sessions/${id}`, {
        method: "DELETE",
        body: JSON.stringify({ reason: "that was enough" }),
      });
    const refused = await end();
    await expectApiDenial(refused, "not_admin", /while they watch it/);
    await watch(AUDITOR);
    await pod.request();
    expect(await (await end()).json()).toEqual({ ended: [id] });
    await client.closed;
    expect(await ended(id)).toMatchObject({
      ...{ outcome: "terminated", reason: "that was enough", ended_by: "auditor@example.com" },
    });
    expect((await end()).status).toBe(403);
  });

  it("ends no other session, whether they watch it or not", async () => {
    const person = someone();
    const config = { ...configFor(person.email), rules: [] };
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }, { config }));
    const path = watchPath(client.sessionId);
    const watcher = await Watcher.of(await directlyAs(AUDITOR, path, { headers: WATCH_UPGRADE }, { config }));
    const end = { method: "DELETE" };
    const refused = await directlyAs(AUDITOR, `/-/admin/sessions/${client.sessionId}`, end, { config });
    expect(refused.status).toBe(403);
    client.send(frame(0, "goes on"));
    await eventually(() => expect(pod.received).toEqual([frame(0, "goes on")]));
    watcher.close();
    client.close();
  });
});

describe("what the configuration and the API say of it", () => {
  it("an approval comes first, then somebody who watches", async () => {
    const waitUntil = Date.now() + 300_000;
    const approver = { user: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob" };
    const user = `dev-${crypto.randomUUID()}@example.com`;
    const object = env.USER_SESSIONS.getByName(userObjectName(user, null));
    const person = { user, subject: null, kubernetesUser: user };
    const asked = { person, grant: "prod", minutes: 60, reason: null, purpose: "exec", needed: 1 };
    const { request } = await askUserObject(object, "requestAccess", { ...asked, approvesItself: false, copyTo: [] });
    const pod = await Puppet.make();
    const headers = new Headers(UPGRADE);
    attachSessionPlan(headers, {
      ...{
        ...PLAN,
        user,
        target: { ...PLAN.target, tty: false, stderr: true },
        recording: { ...PLAN.recording, mode: "off" },
      },
      sessionId: makeSessionId(object.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10))),
      ...{ upstream: { ...PLAN.upstream, transport: "websocket" }, moderation: { waitMs: 300_000, person } },
      approval: {
        ...{ accessId: request.id, grant: "prod", waitUntil, isOwnRequest: true, howToApprove: "Bob approves it." },
        copyTo: [],
      },
    });
    const client = await Client.open(object.fetch(`http://cluster${pod.path()}`, { headers }));
    await eventually(() => expect(told(client)).toContain("this needs an approval of prod"));
    expect(await settled(object)).toMatchObject([{ waits_for: "approval" }]);
    const vote = { decision: "approve", reason: null, minutes: null, needed: 1, maxMinutes: 480 } as const;
    await askUserObject(object, "decideAccess", { id: request.id, by: approver, ...vote, copyTo: [] });
    await eventually(() => expect(told(client)).toContain("this session must be watched"));
    expect(told(client)).toContain("sallyport: approved by bob@example.com (prod).");
    expect([pod.isAsked, await settled(object)]).toMatchObject([false, [{ waits_for: "watcher" }]]);
    await Watcher.open(admin, client.sessionId);
    await pod.request();
    client.close();
    await ended(client.sessionId);
    expect((await eventsOf(client.sessionId)).map(({ type }) => type)).toEqual(["start", "approval", "connect", "end"]);
  });

  it("auditors find a session that waits in the list, and its person in theirs", async () => {
    const { person, client, id, ask } = await byEdge();
    const itemsOf = async (who: JWTPayload, path: string) =>
      ((await (await ask(who, path)).json()) as { items: { id: string; waitsFor: string | null }[] }).items;
    expect(await itemsOf(person, "/-/sessions")).toMatchObject([{ id, waitsFor: "watcher" }]);
    const list = `/-/admin/sessions?state=live&user=${encodeURIComponent(person.email)}`;
    await eventually(async () => expect(await itemsOf(AUDITOR, list)).toMatchObject([{ id, waitsFor: "watcher" }]));
    const watcher = await Watcher.of(await ask(AUDITOR, watchPath(id), { headers: WATCH_UPGRADE }));
    await eventually(async () => expect(await itemsOf(AUDITOR, list)).toMatchObject([{ id, waitsFor: null }]));
    watcher.close();
    await eventually(async () => expect(await itemsOf(AUDITOR, list)).toMatchObject([{ id, waitsFor: "watcher" }]));
    client.close();
  });

  it("the recording of a session has what was held, and when it went on", async () => {
    const recording = { ...PLAN.recording, mode: "output" as const, maxBytes: 1_000_000 };
    const { client, pod, id } = await opened({ plan: { recording } });
    const watcher = await Watcher.open(admin, id);
    await pod.request();
    watcher.close();
    await eventually(() => expect(told(client)).toContain(FROZEN));
    pod.send(frame(1, "held back"));
    await Watcher.open(admin, id);
    await eventually(() => expect(client.text(Channel.stdout)).toBe("held back"));
    pod.send(SUCCESS);
    pod.close(1000);
    const cast = await recordedText(id);
    const at = ["must be watched", "is watched", "nothing passes", "it goes on", "held back"].map((text) =>
      cast.indexOf(text),
    );
    expect(at).toEqual([...at].sort((one, other) => one - other));
    expect(at[0]).toBeGreaterThan(0);
  });
});
