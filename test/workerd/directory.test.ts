/** The directory of live sessions, and what users' objects tell it. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { callDirectory, DIRECTORY_NAME, type Report } from "../../contract/directory.ts";
import { CONTRACT_VERSION } from "../../contract/version.ts";
import { Directory } from "../../durable/directory/directory.ts";
import { eventually } from "../support/eventually.ts";
import { liveRowOf } from "../support/live-row.ts";
import { ended } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const SESSIONS = "/-/admin/sessions";

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => void vi.restoreAllMocks());

/** A stub is of no use after its object was aborted. */
const directory = () => env.DIRECTORY.getByName(DIRECTORY_NAME);

async function liveOf({ email }: { email: string }) {
  const page = await callDirectory(env.DIRECTORY, "listLive", { filter: { user: email }, limit: 10 });
  if (!page.ok) throw new Error(page.error.message);
  return page.value.sessions;
}

async function knows(person: { email: string }, sessionIds: readonly string[]): Promise<void> {
  await eventually(async () => expect((await liveOf(person)).map(({ id }) => id)).toEqual(sessionIds));
}

/** Stops an object as a crash does. Its memory is gone, its database is not. */
async function crash(stub: DurableObjectStub): Promise<void> {
  await runInDurableObject(stub, (_, state) => state.abort("crash")).catch(() => {});
}

async function openedBy(person: ReturnType<typeof someone>) {
  const pod = await Puppet.make();
  return { pod, client: await Client.open(upgrade(person, pod.path())) };
}

describe("the directory", () => {
  it("knows of a session from its beginning to its end, with its counts", async () => {
    const person = someone();
    const { pod, client } = await openedBy(person);
    await knows(person, [client.sessionId]);
    client.send(frame(0, "1234"));
    pod.send(frame(1, "12"));
    await eventually(async () =>
      expect(await liveOf(person)).toMatchObject([{ bytes_in: 5, bytes_out: 3, messages_in: 1, messages_out: 1 }]),
    );
    const [session] = await liveOf(person);
    expect(session?.active_at).toBeGreaterThanOrEqual(session?.started_at ?? Number.NaN);
    client.close();
    await knows(person, []);
  });

  it("that was lost ends no session, and knows it again from the next reports", async () => {
    const person = someone();
    const { pod, client } = await openedBy(person);
    await knows(person, [client.sessionId]);
    await crash(directory());
    await knows(person, [client.sessionId]);
    pod.send(frame(1, "still here"));
    await eventually(() => expect(client.text(1)).toBe("still here"));
    client.close();
    await ended(client.sessionId);
  });

  it("forgets the sessions of an object that crashed, once its alarm has woken it", async () => {
    const person = someone();
    const { client } = await openedBy(person);
    await knows(person, [client.sessionId]);
    await crash(env.USER_SESSIONS.getByName(person.email));
    expect((await liveOf(person)).map(({ id }) => id)).toEqual([client.sessionId]);
    expect(await runDurableObjectAlarm(env.USER_SESSIONS.getByName(person.email))).toBe(true);
    await knows(person, []);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "interrupted" });
  });

  it("refuses what another version says, and what is no report", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const report: Report = { objectId: "a", at: 1, sessions: [], omitted: 0 };
    const refused = { ok: false, error: expect.objectContaining({ code: "contract_mismatch" }) };
    for (const argument of [undefined, { version: CONTRACT_VERSION + 1, ...report }, { version: CONTRACT_VERSION }]) {
      expect(await directory().report(argument)).toEqual(refused);
    }
    expect(await directory().report({ version: CONTRACT_VERSION, ...report })).toMatchObject({ ok: true });
  });
});

describe("a directory that", () => {
  const FAULTS: [string, () => never][] = [
    ["hangs", () => new Promise(() => {}) as never],
    [
      "throws",
      () => {
        throw new Error("the directory is broken");
      },
    ],
    ["answers nonsense", () => ({ ok: true, value: { nextInMs: "soon" } }) as never],
  ];

  it.each(FAULTS)("%s changes nothing for a session", async (_, fault) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const report = vi.spyOn(Directory.prototype, "report").mockImplementation(fault);
    const listLive = vi.spyOn(Directory.prototype, "listLive").mockImplementation(fault);
    const readDrain = vi.spyOn(Directory.prototype, "readDrain").mockImplementation(fault);
    const person = someone();
    const pod = await Puppet.make();
    // In an isolate of its own, which has not heard of a drain yet.
    const client = await Client.open(directlyAs(person, pod.path(), { headers: UPGRADE }));
    await eventually(() => expect(report).toHaveBeenCalled());
    client.send(frame(0, "in"));
    await eventually(() => expect(pod.received).toHaveLength(1));
    pod.send(frame(1, "out"));
    await eventually(() => expect(client.text(1)).toBe("out"));
    const killed = await openedBy(person);
    expect((await as(person, `/-/sessions/${killed.client.sessionId}`, { method: "DELETE" })).status).toBe(200);
    await killed.client.closed;
    // With D1 there, lists do not need it either.
    const listed = await as(admin, `${SESSIONS}?state=live&user=${encodeURIComponent(person.email)}`);
    expect(listed.status).toBe(200);
    expect(listLive).toHaveBeenCalled();
    expect(readDrain).toHaveBeenCalled();
    pod.send(SUCCESS);
    pod.close(1000);
    expect(await ended(client.sessionId)).toMatchObject({ outcome: "exited", exit_code: 0, bytes_in: 3 });
  });
});

describe("a list with D1 there", () => {
  const listed = async (query: string, bindings: object = {}) => {
    const response = await directlyAs(admin, `${SESSIONS}?${query}`, {}, { bindings });
    return (await response.json<{ items: { id: string; state: string; lastUsedAt: string | null }[] }>()).items;
  };

  it("has last use and counts of what is live, and neither invents nor loses a session", async () => {
    const person = someone();
    const { pod, client } = await openedBy(person);
    const other = await openedBy(person);
    other.client.close();
    await ended(other.client.sessionId);
    pod.send(frame(1, "12"));
    const user = encodeURIComponent(person.email);
    await eventually(async () =>
      expect(await listed(`state=live&user=${user}`)).toMatchObject([
        { id: client.sessionId, state: "live", bytesOut: 3, lastUsedAt: expect.stringMatching(/Z$/) },
      ]),
    );
    const all = await listed(`user=${user}`);
    expect(new Map(all.map(({ id, state }) => [id, state]))).toEqual(
      new Map([
        [client.sessionId, "live"],
        [other.client.sessionId, "ended"],
      ]),
    );
    expect(all.find(({ state }) => state === "ended")?.lastUsedAt).toBeNull();
    client.close();
  });

  it("has a session that D1 has not heard of yet", async () => {
    const person = someone();
    const { client } = await openedBy(person);
    await knows(person, [client.sessionId]);
    // D1 answers, and has nothing.
    const statement = { bind: () => statement, raw: async () => [], all: async () => ({ results: [] }) };
    const late = { AUDIT_DB: { prepare: () => statement } as unknown as D1Database };
    const user = encodeURIComponent(person.email);
    for (const state of ["live", "all"]) {
      expect((await listed(`state=${state}&user=${user}`, late)).map(({ id }) => id)).toEqual([client.sessionId]);
    }
    expect(await listed(`state=ended&user=${user}`, late)).toEqual([]);
    client.close();
  });

  it("does not call live what D1 knows to have ended, though the directory has not heard of it", async () => {
    const person = someone();
    const { client } = await openedBy(person);
    client.close();
    const { started_at } = await ended(client.sessionId);
    const row = liveRowOf(client.sessionId, { user: person.email, started_at });
    const { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out } = row;
    const counts = { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out };
    const stale = { objectId: crypto.randomUUID(), at: 1, sessions: [{ id: row.id, counts, row }], omitted: 0 };
    await callDirectory(env.DIRECTORY, "report", stale);
    await knows(person, [client.sessionId]);
    const user = encodeURIComponent(person.email);
    expect(await listed(`state=live&user=${user}`)).toEqual([]);
    expect(await listed(`user=${user}`)).toMatchObject([{ id: client.sessionId, state: "ended" }]);
  });
});
