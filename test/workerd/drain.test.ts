/** The drain switch: how an administrator keeps new sessions from opening anywhere. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { callDirectory, DIRECTORY_NAME } from "../../contract/directory.ts";
import { Directory } from "../../durable/directory/directory.ts";
import { SCHEMA } from "../../durable/storage/schema.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { Client, frame } from "./client.ts";
import { admin, alice, as, directlyAs, handlerAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial, expectStatus, readStatus } from "./statuses.ts";

const DRAIN = "/-/admin/drain";
const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const SPDY = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io" };
const NOT_DRAINING = { draining: false, by: null, reason: null, since: null, until: null };

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
const begin = (command: object, who = admin) => as(who, DRAIN, { method: "PUT", body: JSON.stringify(command) });
const end = (query = "") => as(admin, `${DRAIN}${query}`, { method: "DELETE" });
const read = async () => (await as(admin, DRAIN)).json();
/** A stub is of no use after its object was aborted. */
const directory = () => env.DIRECTORY.getByName(DIRECTORY_NAME);

/** In a new isolate of the edge, which knows of nothing yet. */
const attempt = (who = someone()) => directlyAs(who, SILENT, { headers: UPGRADE });

async function opens(): Promise<void> {
  (await Client.open(attempt())).close();
}

/** Waits until D1 has so many turns of the switch. @returns them, in command */
async function turns(count: number): Promise<ChainedEvent[]> {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT session_id, seq, at, type, data, prev_hash, hash FROM events WHERE type IN ('drain', 'drain_end') ORDER BY row_number",
    ).all<ChainedEvent>();
    expect(results.length).toBeGreaterThanOrEqual(count);
    return results;
  });
}

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await eventually(async () => expect((await end()).status).toBe(200));
});

describe("a drain", () => {
  it("refuses new sessions everywhere, says why and until when, and leaves all else alone", async () => {
    const before = (await turns(0)).length;
    const person = someone();
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(person, pod.path()));
    const until = inMinutes(30);
    const begun = await begin({ reason: "upgrade to 0.2", until });
    expect(begun.status).toBe(200);
    const command = await begun.json<{ since: string }>();
    expect(command).toEqual({
      ...{ draining: true, by: "admin@example.com", reason: "upgrade to 0.2", until },
      since: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(await read()).toEqual(command);

    const message =
      `new sessions are refused until ${until} (admin@example.com: upgrade to 0.2): try again then; ` +
      "open sessions and other requests go on";
    // Isolates that know of an open deployment learn of it within seconds, others at once.
    await eventually(async () => expect((await upgrade(person, SILENT)).status).toBe(503));
    for (const [who, method, headers] of [
      [person, "GET", UPGRADE],
      [person, "POST", SPDY],
      [someone(), "GET", UPGRADE],
      [someone(), "POST", SPDY],
    ] as const) {
      const refused = await as(who, SILENT, { method, headers });
      // With a Retry-After, client-go would repeat it instead of showing it.
      expect(refused.headers.has("Retry-After")).toBe(false);
      await expectStatus(refused, "ServiceUnavailable", message);
      await expectStatus(await directlyAs(who, SILENT, { method, headers }), "ServiceUnavailable", message);
    }

    client.send(frame(0, "in"));
    await eventually(() => expect(pod.received).toHaveLength(1));
    pod.send(frame(1, "out"));
    await eventually(() => expect(client.text(1)).toBe("out"));
    expect((await as(person, "/api/v1/namespaces")).status).toBe(200);
    client.close();

    const listed = `/-/admin/requests?user=${encodeURIComponent(person.email)}`;
    await eventually(async () => {
      const { items } = await (await as(admin, listed)).json<{ items: { refusal: string; reason: string }[] }>();
      expect(items).toContainEqual(expect.objectContaining({ refusal: "draining", reason: message }));
    });

    expect(await (await end("?reason=done")).json()).toEqual({ draining: false, wasDraining: true });
    expect(await (await end()).json()).toEqual({ draining: false, wasDraining: false });
    await opens();
    await eventually(async () => (await Client.open(upgrade(person, SILENT))).close());

    const events = await turns(before + 2);
    expect(events.slice(before).map(({ type, data }) => ({ type, ...JSON.parse(data) }))).toEqual([
      { type: "drain", by: "admin@example.com", reason: "upgrade to 0.2", until: Date.parse(until) },
      { type: "drain_end", by: "admin@example.com", reason: "done" },
    ]);
    const verifier = new ChainVerifier();
    for (const event of events.toSorted((one, other) => (one.session_id < other.session_id ? -1 : 1))) {
      verifier.add(event);
    }
    expect(verifier.finish()).toMatchObject({ sessions: 0, broken: [] });
  });

  it("without an end is for an hour, and a later command takes its place", async () => {
    const first = await (await begin({ reason: "one" })).json<{ since: string; until: string }>();
    expect(Date.parse(first.until) - Date.parse(first.since)).toBeLessThanOrEqual(3_600_000);
    expect(Date.parse(first.until)).toBeGreaterThan(Date.now() + 3_500_000);
    const until = inMinutes(5);
    expect(await (await begin({ until })).json()).toMatchObject({
      ...{ since: first.since, until, reason: "no reason given" },
    });
  });

  it("survives a restart of the directory, and ends by itself", async () => {
    const until = inMinutes(10);
    await begin({ reason: "drill", until });
    await runInDurableObject(directory(), (_, state) => state.abort("crash")).catch(() => {});
    // The first call may still go to the object that was ended.
    await eventually(async () => expect((await attempt()).status).toBe(503));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(until) - 1 });
    expect((await attempt()).status).toBe(503);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(until) });
    await opens();
    expect(await (await directlyAs(admin, DRAIN)).json()).toEqual(NOT_DRAINING);
  });

  it("is in the audit log once D1 is back", async () => {
    const before = (await turns(0)).length;
    vi.spyOn(console, "error").mockImplementation(() => {});
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const broken = vi.spyOn(env.AUDIT_DB, "batch").mockRejectedValue(new Error("D1 is away"));
    expect((await begin({ reason: "D1 is away" })).status).toBe(200);
    expect(await read()).toMatchObject({ draining: true, reason: "D1 is away" });
    broken.mockRestore();
    await runDurableObjectAlarm(directory());
    const events = await turns(before + 1);
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ reason: "D1 is away" });
  });

  it("has no control characters in its reason, wherever it is shown", async () => {
    const reason = "up\u001b]0;grade\u0007\u0000 \ud800now";
    const shown = await (await begin({ reason, until: inMinutes(5) })).json<{ reason: string }>();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    const CONTROL = /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/;
    expect(shown.reason).not.toMatch(CONTROL);
    expect(shown.reason).toContain("grade");
    const { message } = await readStatus(await attempt());
    expect(message).toContain(shown.reason);
    expect(message).not.toMatch(CONTROL);
  });
});

describe("a command", () => {
  it.each([
    ["whose time is over", () => ({ until: "2026-01-01T00:00:00Z" }), /^until is over/],
    ["for more than a day", () => ({ until: inMinutes(24 * 60 + 1) }), /^until is more than 24 hours away/],
    ["for thousands of years", () => ({ until: "9999-12-31T23:59:59Z" }), /^until is more than 24 hours away/],
    ["with a time that is none", () => ({ until: "soon" }), /must be a time like/],
    ["with a time without a zone", () => ({ until: "2026-11-17T10:00:00" }), /must be a time like/],
    ["with a number as its time", () => ({ until: 1_764_000_000_000 }), /until/],
    ["with a reason that is no text", () => ({ reason: {} }), /reason/],
    ["with minutes", () => ({ minutes: 5 }), /minutes/],
  ])("%s is refused, and changes nothing", async (_, command, message) => {
    await expectApiDenial(await begin(command()), "bad_request", message);
    expect(await read()).toEqual(NOT_DRAINING);
  });

  it("is given and taken back by administrators alone; auditors see it", async () => {
    const service = { type: "app", sub: "", common_name: "ci.access" };
    const match = { serviceToken: "ci.access" };
    const withRoles = (roles: ("admin" | "auditor")[]): Partial<ConfigInput> => ({
      identities: [{ match, groups: ["deployers"], roles }],
    });
    const asService = (config: Partial<ConfigInput>, method: string) =>
      directlyAs(service, DRAIN, { method }, { config });
    for (const method of ["PUT", "DELETE"]) {
      await expectApiDenial(await as(alice, DRAIN, { method }), "not_admin", /requires the role admin/);
      await expectApiDenial(await asService(withRoles([]), method), "not_admin", /requires the role admin/);
      await expectApiDenial(await asService(withRoles(["auditor"]), method), "not_admin", /requires the role admin/);
    }
    await expectApiDenial(await as(alice, DRAIN), "not_admin", /admin or auditor/);
    expect(await read()).toEqual(NOT_DRAINING);
    expect((await asService(withRoles(["auditor"]), "GET")).status).toBe(200);

    expect((await asService(withRoles(["admin"]), "PUT")).status).toBe(200);
    expect(await read()).toMatchObject({ draining: true, by: "service:ci.access" });
    expect((await asService(withRoles(["admin"]), "DELETE")).status).toBe(200);
    expect(await read()).toEqual(NOT_DRAINING);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("the directory is broken")), "directory_unavailable"],
    ["answers nonsense", async () => ({ ok: true, value: "yes" }), "contract_mismatch"],
  ] as const)("that the directory does not take because it %s is answered with 503", async (_, fault, code) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(console, "error").mockImplementation(() => {});
    for (const method of ["readDrain", "beginDrain", "endDrain"] as const) {
      vi.spyOn(Directory.prototype, method).mockImplementation(fault as never);
    }
    for (const method of ["GET", "PUT", "DELETE"]) {
      await expectApiDenial(await as(admin, DRAIN, { method }), code, /contact your administrator$/);
    }
    await opens();
  });
});

describe("an isolate that knows of a drain", () => {
  it("goes on refusing until its end while the directory does not answer", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const until = inMinutes(5);
    await begin({ reason: "drill", until });
    const person = someone();
    const inIsolate = handlerAs(person);
    expect((await inIsolate(SILENT, { headers: UPGRADE })).status).toBe(503);
    vi.spyOn(Directory.prototype, "readDrain").mockImplementation(() => {
      throw new Error("the directory is broken");
    });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(until) - 1_000 });
    expect((await inIsolate(SILENT, { headers: UPGRADE })).status).toBe(503);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(until) });
    (await Client.open(inIsolate(SILENT, { headers: UPGRADE }))).close();
  });
});

describe("a directory whose database is newer than its code", () => {
  it("knows what is live, refuses commands, and lets sessions open", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(console, "error").mockImplementation(() => {});
    const restartAfter = async (change: string) => {
      await runInDurableObject(directory(), (_, { storage }) => void storage.sql.exec(change));
      await runInDurableObject(directory(), (_, state) => state.abort("deploy")).catch(() => {});
    };
    await restartAfter(`INSERT INTO schema_migrations (version, applied_at) VALUES (${SCHEMA.length + 1}, 1)`);
    await eventually(async () =>
      expectApiDenial(await begin({ reason: "x" }), "object_schema_newer", /older version of Sallyport/),
    );
    const person = someone();
    const client = await Client.open(attempt(person));
    await eventually(async () => {
      const live = await callDirectory(env.DIRECTORY, "listLive", { filter: { user: person.email }, limit: 10 });
      expect(live).toMatchObject({ ok: true, value: { sessions: [{ id: client.sessionId }] } });
    });
    client.close();
    await restartAfter(`DELETE FROM schema_migrations WHERE version > ${SCHEMA.length}`);
  });
});
