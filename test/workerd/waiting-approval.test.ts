/** Sessions that wait for an approval, as their objects hold them. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { DecidingPerson } from "../../contract/access.ts";
import { compareGiven, GIVEN_ACCESS_KEY, SETTLED_AFTER_MS } from "../../contract/given-access.ts";
import { type LocationHint, userObjectName } from "../../contract/placement.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { attachSessionPlan, type SessionApproval, type SessionPlan } from "../../contract/session-plan.ts";
import type { UserObjectFields } from "../../contract/user-object.ts";
import { CLOSE_GRACE_MS } from "../../durable/intervals.ts";
import { CONNECT_TIMEOUT_MS } from "../../durable/upstream/dial.ts";
import { Channel } from "../../kubernetes/channels.ts";
import type { StatusReason } from "../../kubernetes/status.ts";
import { eventually } from "../support/eventually.ts";
import { PLAN } from "../support/session-plan.ts";
import { askUserObject } from "./ask-user-object.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";
import { changeTimers } from "./timers.ts";

const MINUTE = 60_000;
const BOB: DecidingPerson = { user: "bob@example.com", subject: "sub-bob", kubernetesUser: "bob" };
const ADMIN = { by: "admin@example.com", reason: "enough" };

beforeEach(() => {
  for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(() => void vi.restoreAllMocks());

interface Wait {
  readonly client: Client;
  readonly pod: Puppet;
  readonly accessId: string;
}

interface Wishes {
  /** The session's own location; null for that of the object that decides. */
  readonly location?: LocationHint | null;
  readonly tty?: boolean;
  readonly plan?: Partial<SessionPlan>;
  readonly approval?: Partial<SessionApproval>;
  /** Subprotocols that the client offers. */
  readonly offers?: string;
  /** What the cluster chooses. */
  readonly chooses?: string;
  readonly pod?: Puppet;
}

/** A person whose sessions need an approval. */
class Person {
  readonly user = `dev-${crypto.randomUUID()}@example.com`;

  at(location: LocationHint | null) {
    return env.USER_SESSIONS.getByName(userObjectName(this.user, location));
  }

  ask(copyTo: LocationHint[] = []) {
    const person = { user: this.user, subject: null, kubernetesUser: this.user };
    const asked = { person, grant: "prod-exec", minutes: 60, reason: null, purpose: "exec", needed: 1 };
    return askUserObject(this.at(null), "requestAccess", { ...asked, approvesItself: false, copyTo });
  }

  requests() {
    return askUserObject(this.at(null), "listAccess", {});
  }

  decide(id: string, more: Partial<UserObjectFields<"decideAccess">> = {}) {
    const vote = { by: BOB, decision: "approve", reason: null, minutes: null, needed: 1, maxMinutes: 480 } as const;
    return askUserObject(this.at(null), "decideAccess", { id, ...vote, copyTo: [], ...more });
  }

  revoke(id: string) {
    return askUserObject(this.at(null), "endAccess", { id, by: BOB, reason: null, copyTo: [] });
  }

  async attempt(wishes: Wishes = {}): Promise<{ response: Response; pod: Puppet; accessId: string }> {
    const { location = null, tty = false, offers = "v5.channel.k8s.io", chooses } = wishes;
    const { request } = await this.ask(location === null ? [] : [location]);
    const pod = wishes.pod ?? (await Puppet.make(chooses === undefined ? {} : { protocol: chooses }));
    const headers = new Headers({ ...UPGRADE, "Sec-WebSocket-Protocol": offers });
    const object = this.at(location);
    attachSessionPlan(headers, {
      ...PLAN,
      user: this.user,
      sessionId: makeSessionId(object.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10))),
      locationHint: location,
      upstream: { ...PLAN.upstream, transport: "websocket" },
      recording: { ...PLAN.recording, mode: "off" },
      limits: { ...PLAN.limits, maxBufferedStdinBytes: 1024 * 1024 },
      target: { ...PLAN.target, tty },
      approval: {
        ...{ accessId: request.id, grant: "prod-exec", waitUntil: Date.now() + 5 * MINUTE, isOwnRequest: true },
        ...{ howToApprove: "Bob approves it.", copyTo: [], ...wishes.approval },
      },
      ...wishes.plan,
    });
    const response = await object.fetch(`http://cluster${pod.path()}`, { headers });
    return { response, pod, accessId: request.id };
  }

  async wait(wishes: Wishes = {}): Promise<Wait> {
    const { response, pod, accessId } = await this.attempt(wishes);
    const client = await Client.open(response);
    await eventually(() => expect(client.text(wishes.tty ? Channel.stdout : Channel.stderr)).toContain("approval"));
    return { client, pod, accessId };
  }
}

/** Waits until a session has ended before the cluster heard of it. @returns why */
async function unapproved({ client, pod }: Wait): Promise<string | null> {
  const row = await ended(client.sessionId);
  // Lines of Sallyport's are no traffic.
  expect(row).toMatchObject({ outcome: "not_approved", bytes_out: 0, messages_out: 0 });
  expect(pod.isAsked).toBe(false);
  expect((await eventsOf(client.sessionId)).map(({ type }) => type)).toEqual(["start", "end"]);
  return row.reason;
}

const errorOf = (client: Client) => JSON.parse(client.text(Channel.error) || "{}").message;

describe("a session that needs an approval", () => {
  it("waits, keeps all that is piped into it, and goes on as if it had never waited", async () => {
    const alice = new Person();
    const { client, pod, accessId } = await alice.wait();
    expect(client.protocol).toBe("v5.channel.k8s.io");
    const sent = [frame(0, "one\n"), frame(0, "x".repeat(100_000)), frame(0, "two\n"), Uint8Array.of(255, 0)];
    for (const message of sent) client.send(message);
    // Another call of the object, so that it has seen all of it.
    await alice.ask();
    expect(pod.isAsked).toBe(false);

    await alice.decide(accessId);
    expect((await pod.request()).headers["sec-websocket-protocol"]).toBe("v5.channel.k8s.io");
    const stdin = () =>
      (pod.received as Uint8Array[])
        .filter(([channel]) => channel === 0)
        .map((message) => new TextDecoder().decode(message.subarray(1)))
        .join("");
    await eventually(() => expect(stdin()).toBe(`one\n${"x".repeat(100_000)}two\n`));
    await eventually(() => expect(pod.received.at(-1)).toEqual(Uint8Array.of(255, 0)));
    pod.send(frame(1, "done"));
    pod.send(SUCCESS);
    pod.close(1000);
    await client.closed;
    expect(client.text(Channel.stdout)).toBe("done");
    expect(client.text(Channel.stderr)).toMatch(
      /^sallyport: this needs an approval of prod-exec, and waits for up to 5m\. Ctrl-C gives up\.\nsallyport: Bob approves it\.\nsallyport: approved by bob@example\.com \(prod-exec\)\.\n$/,
    );
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0 });
    const events = await eventsOf(client.sessionId);
    expect(events.map(({ type }) => type)).toEqual(["start", "approval", "connect", "end"]);
    expect(events[1]?.data).toEqual({
      ...{ access_id: accessId, grant: "prod-exec", by: ["bob@example.com"], waited_ms: expect.any(Number) },
    });
  });

  it("drops what is typed on a terminal before it begins, and sends its last size first", async () => {
    const alice = new Person();
    const { client, pod, accessId } = await alice.wait({ tty: true });
    client.send(frame(4, '{"Width":80,"Height":24}'));
    client.send(frame(0, "rm -rf /\r"));
    client.send(frame(4, '{"Width":120,"Height":40}'));
    await alice.ask();
    await alice.decide(accessId);
    await eventually(() => expect(client.text(Channel.stdout)).toContain("approved by bob@example.com"));
    expect(client.text(Channel.stdout)).toMatch(/^(?:sallyport: [^\n]*\r\n){2}sallyport: approved [^\n]*\r\n$/);
    client.send(frame(0, "ls\r"));
    const expected = [frame(4, '{"Width":120,"Height":40}'), frame(0, "ls\r")];
    await eventually(() => expect(pod.received).toEqual(expected));
    client.close();
  });

  it("is given up with Ctrl-C, which withdraws the request that it made", async () => {
    const alice = new Person();
    const wait = await alice.wait({ tty: true });
    wait.client.send(frame(0, "\u0003"));
    expect(await wait.client.closed).toMatchObject({ code: 1000 });
    expect(errorOf(wait.client)).toBe("given up while it waited for an approval");
    expect(await unapproved(wait)).toBe("given up while it waited for an approval");
    await eventually(async () =>
      expect(await askUserObject(alice.at(null), "listAccess", {})).toMatchObject([{ ended: { how: "revoked" } }]),
    );
  });

  it.each([
    ["made by somebody's own command", { isOwnRequest: false }, false],
    ["another session waits for", {}, true],
  ])("leaves a request that was %s", async (_, approval, hasOther) => {
    const alice = new Person();
    const wait = await alice.wait({ approval });
    const other = hasOther ? await alice.wait() : undefined;
    wait.client.close(1000);
    await unapproved(wait);
    expect(await askUserObject(alice.at(null), "listAccess", {})).toMatchObject([{ ended: null, active: null }]);
    other?.client.close();
  });

  it("withdraws it when the last that waits for it leaves, whichever of them made it", async () => {
    const alice = new Person();
    const first = await alice.wait();
    const second = await alice.wait({ approval: { isOwnRequest: false } });
    first.client.close(1000);
    await unapproved(first);
    expect(await alice.requests()).toMatchObject([{ ended: null, active: null }]);
    second.client.close(1000);
    await unapproved(second);
    await eventually(async () => expect(await alice.requests()).toMatchObject([{ ended: { how: "revoked" } }]));
    // The next request is somebody's own, and nobody inherits it.
    const { accessId, client } = await alice.wait({ approval: { isOwnRequest: false } });
    client.close(1000);
    await ended(client.sessionId);
    expect(await alice.requests()).toContainEqual(expect.objectContaining({ id: accessId, ended: null }));
  });

  it.each<[string, Wishes, StatusReason]>([
    ["a limit or a missing reason", { plan: { requireReason: true } }, "Forbidden"],
    ["its client's protocol", { offers: "future.channel.k8s.io" }, "BadRequest"],
  ])("withdraws what it asked for where it is refused for %s, and nothing else", async (_, wishes, reason) => {
    const alice = new Person();
    await expectStatus((await alice.attempt(wishes)).response, reason, /./);
    await eventually(async () =>
      expect(await alice.requests()).toMatchObject([
        { ended: { how: "revoked", by: alice.user, reason: "its session was refused, so that nothing waited for it" } },
      ]),
    );
    // One that was asked for by a command, and one that another session waits for.
    const other = new Person();
    await expectStatus((await other.attempt({ ...wishes, approval: { isOwnRequest: false } })).response, reason, /./);
    const waits = await other.wait();
    await expectStatus((await other.attempt(wishes)).response, reason, /./);
    expect(await other.requests()).toMatchObject([{ ended: null, active: null }]);
    waits.client.close();
  });

  it("ends as denied, with what the approver said, and exit code 1", async () => {
    const alice = new Person();
    const wait = await alice.wait();
    await alice.decide(wait.accessId, { decision: "deny", reason: "not on Fridays" });
    expect(await wait.client.closed).toMatchObject({ code: 1000 });
    const said = "bob@example.com denied the access prod-exec: not on Fridays";
    expect(errorOf(wait.client)).toBe(said);
    expect(await unapproved(wait)).toBe(said);
  });

  it("ends when nobody decides in time, and leaves the request to be approved", async () => {
    const alice = new Person();
    const wait = await alice.wait({ approval: { waitUntil: Date.now() + 1_500, isOwnRequest: false } });
    await wait.client.closed;
    expect(errorOf(wait.client)).toMatch(/^nobody approved prod-exec within \ds; the request stands/);
    expect(await unapproved(wait)).toMatch(/^nobody approved/);
    expect(await askUserObject(alice.at(null), "listAccess", {})).toMatchObject([{ ended: null, active: null }]);
  });

  it("begins in an object near its cluster when the copy of the decision arrives there", async () => {
    const alice = new Person();
    const { client, pod, accessId } = await alice.wait({ location: "weur" });
    await alice.decide(accessId, { copyTo: ["weur"] });
    await pod.request();
    await eventually(() => expect(client.text(Channel.stderr)).toContain("approved by"));
    client.close();
  });

  it("withdraws its request from an object near its cluster too", async () => {
    const alice = new Person();
    const wait = await alice.wait({ location: "weur" });
    wait.client.close(1000);
    await unapproved(wait);
    await eventually(async () =>
      expect(await askUserObject(alice.at(null), "listAccess", {})).toMatchObject([{ ended: { how: "revoked" } }]),
    );
  });

  it("chooses the newest protocol offered, and offers the cluster that one alone", async () => {
    const alice = new Person();
    const offers = "v4.channel.k8s.io, future.channel.k8s.io, v5.channel.k8s.io, channel.k8s.io";
    const { client, pod, accessId } = await alice.wait({ offers });
    expect(client.protocol).toBe("v5.channel.k8s.io");
    await alice.decide(accessId);
    expect((await pod.request()).headers["sec-websocket-protocol"]).toBe("v5.channel.k8s.io");
    client.close();
  });

  it("ends where the cluster chooses another protocol than its client was told", async () => {
    const alice = new Person();
    const { client, accessId } = await alice.wait({ chooses: "v4.channel.k8s.io" });
    await alice.decide(accessId);
    await client.closed;
    expect(errorOf(client)).not.toBe("");
    expect((await ended(client.sessionId)).outcome).not.toBe("exited");
  });

  it("is refused where the client offers nothing that is known", async () => {
    const { response, pod } = await new Person().attempt({ offers: "future.channel.k8s.io" });
    await expectStatus(response, "BadRequest", /no protocol that is known here: use kubectl/);
    expect(pod.isAsked).toBe(false);
  });

  it("shows what the cluster then refuses in its own words", async () => {
    const alice = new Person();
    const pod = await Puppet.make({ hold: true });
    const { client, accessId } = await alice.wait({ pod });
    await alice.decide(accessId);
    await pod.request();
    pod.refuse(404, JSON.stringify({ kind: "Status", status: "Failure", message: 'pods "web" not found', code: 404 }));
    await client.closed;
    expect(errorOf(client)).toBe('pods "web" not found');
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "refused", reason: 'pods "web" not found' });
  });

  it.each<[string, (alice: Person, client: Client) => unknown, string, string]>([
    [
      "an administrator",
      (alice, { sessionId }) => askUserObject(alice.at(null), "terminate", { sessionId, ...ADMIN }),
      "session terminated by admin@example.com: enough",
      "terminated",
    ],
    [
      "a revocation",
      async (alice) => {
        const [request] = await askUserObject(alice.at(null), "listAccess", {});
        await alice.revoke(request?.id ?? "");
      },
      'session ended: the access "prod-exec" was taken back',
      "access_ended",
    ],
    [
      "Ctrl-C",
      (_, client) => client.send(frame(0, "\u0003")),
      "interrupted before the cluster had answered",
      "refused",
    ],
  ])("is not begun where %s ends it while the cluster is asked", async (_, end, message, outcome) => {
    // It must not be cut off only because it has answered neither a close nor the upgrade.
    changeTimers(new Map([CLOSE_GRACE_MS, CONNECT_TIMEOUT_MS].map((ms) => [ms, 24 * 60 * MINUTE])));
    const alice = new Person();
    const pod = await Puppet.make({ hold: true });
    const { client, accessId } = await alice.wait({ tty: true, pod });
    await alice.decide(accessId);
    await pod.request();
    await end(alice, client);
    await pod.cancelled();
    expect(await client.closed).toMatchObject({ code: 1000 });
    expect(errorOf(client)).toContain(message);
    expect((await ended(client.sessionId)).outcome).toBe(outcome);
    const events = await eventsOf(client.sessionId);
    expect(events.map(({ type }) => type)).toEqual(["start", "approval", "end"]);
  });

  it("does not begin once its grant has ceased to approve its rule, and does where another rule lost it", async () => {
    const [RULE, OTHER] = ["shells", "others"].map((name) => `${name}-${crypto.randomUUID()}`) as [string, string];
    const giving = (...rules: string[]) => [{ name: "prod-exec", gives: { groups: [], rules } }];
    const now = Date.now();
    const before = compareGiven(undefined, giving(RULE, OTHER), now - SETTLED_AFTER_MS);
    const note = JSON.stringify(compareGiven(before, giving(OTHER), now));
    onTestFinished(() => env.RECORDINGS.delete(GIVEN_ACCESS_KEY));
    const approvedFor = async (rule: string) => {
      const alice = new Person();
      const wait = await alice.wait({ plan: { rule } });
      // The alarm looks no more than once in 10 s, so it is not what would end it.
      await runDurableObjectAlarm(alice.at(null));
      await env.RECORDINGS.put(GIVEN_ACCESS_KEY, note);
      await alice.decide(wait.accessId);
      return wait;
    };
    const lost = await approvedFor(RULE);
    await lost.client.closed;
    const message = `session ended: the access "prod-exec" is no longer an approval for the rule ${RULE}`;
    expect(errorOf(lost.client)).toBe(message);
    expect(await ended(lost.client.sessionId)).toMatchObject({ outcome: "access_ended", reason: message });
    expect(lost.pod.isAsked).toBe(false);
    const kept = await approvedFor(OTHER);
    await kept.pod.request();
    kept.client.close();
  });

  it("takes no place while it waits, and needs one when it begins", async () => {
    const alice = new Person();
    const plan = { limits: { ...PLAN.limits, maxSessionsPerUser: 1 } };
    const first = await alice.wait({ plan });
    const second = await alice.wait({ plan });
    await alice.decide(first.accessId);
    // Both wait for the same request: one of them has the only place.
    const failed = await eventually(() => {
      const refused = [first, second].find(({ client }) => client.hungUp);
      if (!refused) throw new Error("both run");
      return refused.client;
    });
    expect(errorOf(failed)).toContain("1 of 1 allowed sessions open");
    for (const { client } of [first, second]) client.close();
  });

  it("waits with forty-nine others of the same person, and one more is refused", async () => {
    const alice = new Person();
    const plan = { limits: { ...PLAN.limits, maxSessionsPerUser: 50 } };
    const waits: Wait[] = [];
    for (let number = 0; number < 50; number++) waits.push(await alice.wait({ plan }));
    await expectStatus((await alice.attempt({ plan })).response, "TooManyRequests", /50 of your sessions wait/);
    await alice.decide(waits[0]?.accessId ?? "");
    for (const { pod } of waits) await pod.request();
    for (const { client } of waits) client.close();
  });

  it("is not idle while it waits, and ends with the access that it was opened with", async () => {
    const alice = new Person();
    const plan = { limits: { ...PLAN.limits, idleTimeoutSeconds: 1, maxDurationSeconds: 1 } };
    const wait = await alice.wait({ plan, approval: { waitUntil: Date.now() + 3_000 } });
    await wait.client.closed;
    expect(await unapproved(wait)).toMatch(/^nobody approved/);

    const begun = await alice.wait();
    await alice.decide(begun.accessId);
    await begun.pod.request();
    await eventually(() => expect(begun.client.text(Channel.stderr)).toContain("approved by"));
    await alice.revoke(begun.accessId);
    await begun.client.closed;
    expect(errorOf(begun.client)).toContain('the access "prod-exec" was taken back by bob@example.com');
    expect((await ended(begun.client.sessionId)).outcome).toBe("access_ended");
  });

  it("ends where more is piped into it than may wait", async () => {
    const alice = new Person();
    const wait = await alice.wait({ plan: { limits: { ...PLAN.limits, maxBufferedStdinBytes: 10_000 } } });
    wait.client.send(frame(0, "x".repeat(20_000)));
    await wait.client.closed;
    expect(errorOf(wait.client)).toContain(
      "it is held until somebody has approved it or watches it, and as much input as may be stored waits with it",
    );
    expect(wait.pod.isAsked).toBe(false);
  });

  it("can be ended by an administrator, and by a lock", async () => {
    const alice = new Person();
    const killed = await alice.wait();
    expect(await askUserObject(alice.at(null), "terminate", { sessionId: killed.client.sessionId, ...ADMIN })).toBe(
      true,
    );
    await killed.client.closed;
    expect(errorOf(killed.client)).toBe("session terminated by admin@example.com: enough");
    const locked = await alice.wait();
    const lock = { user: alice.user, ...ADMIN, until: null };
    await askUserObject(alice.at(null), "decideLock", { lock, copyTo: [] });
    await locked.client.closed;
    expect((await ended(locked.client.sessionId)).outcome).toBe("terminated");
    for (const { pod } of [killed, locked]) expect(pod.isAsked).toBe(false);
  });

  it("is ended by a lock in an object near its cluster too, and nobody approves it then", async () => {
    const alice = new Person();
    const wait = await alice.wait({ location: "weur" });
    const lock = { user: alice.user, ...ADMIN, until: null };
    await askUserObject(alice.at(null), "decideLock", { lock, copyTo: ["weur"] });
    await wait.client.closed;
    await expect(alice.decide(wait.accessId, { copyTo: ["weur"] })).rejects.toThrow("user_locked");
    expect((await ended(wait.client.sessionId)).outcome).toBe("terminated");
    await expect(alice.attempt({ location: "weur" })).rejects.toThrow("user_locked");
    expect(wait.pod.isAsked).toBe(false);
  });

  it("ends honestly with its object, and the cluster never hears of it", async () => {
    const alice = new Person();
    const { client, pod } = await alice.wait();
    await runInDurableObject(alice.at(null), (_, state) => state.abort("crash")).catch(() => {});
    await client.closed;
    await alice.ask();
    expect((await ended(client.sessionId)).outcome).toBe("interrupted");
    expect(pod.isAsked).toBe(false);
  });
});
