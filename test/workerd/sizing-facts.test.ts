import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { insertEvents } from "../../audit/insert-events.ts";
import { recordingKey } from "../../contract/recording.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { Spool } from "../../durable/recording/spool.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { StdinBuffer } from "../../durable/storage/stdin-buffer.ts";
import { ALARMS_PER_CHANGE_ALONE, CALLS_PER_CHANGE_ALONE } from "../../tools/sizing/cost.ts";
import { D1_BYTES, d1RowsOfEvent, OBJECT_ROWS, objectRowsOfSession } from "../../tools/sizing/facts.ts";
import { AUDITED_REQUEST } from "../support/audited-request.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { directlyAs, someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";

const HASH = "0123456789abcdef".repeat(4);

/** Data of typical length. */
const DATA = {
  start: {
    user: "alice.anderson@example.com",
    kubernetes_user: "alice.anderson@example.com",
    kubernetes_groups: ["developers", "team-payments", "oncall"],
    cluster: "production-eu",
    location_hint: null,
    kind: "exec",
    namespace: "payments-production",
    pod: "checkout-7d9c5b8f6d-x2x7k",
    container: null,
    command: ["sh", "-c", "clear; (bash || ash || sh)"],
    tty: true,
    stdin: true,
    ports: [],
    recording_mode: "output",
    client_address: "2001:db8:1234:5678:9abc:def0:1234:5678",
    country: "DE",
    rule: "say why in production",
    access_reason: "INC-1723: checkout is down",
    user_agent: "kubectl/v1.36.3 (linux/amd64) kubernetes/a1b2c3d",
  },
  connect: { protocol: "v5.channel.k8s.io" },
  forward: { port: 5432 },
  end: {
    outcome: "exited",
    exit_code: 0,
    reason: null,
    ended_by: null,
    bytes_in: 12_345,
    bytes_out: 678_901,
    messages_in: 1_234,
    messages_out: 2_345,
    recording: { state: "complete", bytes: 701_234, reason: null },
  },
  request: {
    ...{ user: "alice.anderson@example.com", location_hint: null, arrived_at: 1_764_000_000_000 },
    ...{ kubernetes_user: "alice.anderson@example.com", cluster: "production-eu", category: "mutation" },
    ...{ decision: "allowed", rule: null, refusal: null, reason: null, method: "PATCH" },
    path: "/apis/apps/v1/namespaces/payments-production/deployments/checkout",
    ...{ verb: "patch", api_group: "apps", resource: "deployments", subresource: null },
    ...{ namespace: "payments-production", name: "checkout", status: null },
    ...{ client_address: "2001:db8:1234:5678:9abc:def0:1234:5678", country: "DE" },
    user_agent: "kubectl/v1.36.3 (linux/amd64) kubernetes/a1b2c3d",
    ...{ ray: "8f2a1b3c4d5e6f70-FRA", awaits_response: true },
  },
  response: { status: 200, reason: null },
} as const;
type EventType = keyof typeof DATA;
const TYPES = Object.keys(DATA) as EventType[];
const OF_REQUESTS: ReadonlySet<string> = new Set(["request", "response"]);

function eventOf(type: EventType): ChainedEvent {
  // Ids of many objects are random, so the pages of the index are as full as in production.
  const object = [...crypto.getRandomValues(new Uint8Array(32))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  const session_id = OF_REQUESTS.has(type)
    ? `${new Date().toISOString()}-${object.slice(0, 22)}`
    : makeSessionId(object, Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const data = JSON.stringify(DATA[type]);
  return { session_id, seq: TYPES.indexOf(type), at: Date.now(), type, data, prev_hash: HASH, hash: HASH };
}

/** D1 that collects the metadata of each statement. */
function observed(metas: D1Meta[]): D1Database {
  const collect = <T extends D1Result>(result: T): T => {
    metas.push(result.meta);
    return result;
  };
  return {
    prepare: (sql: string) => env.AUDIT_DB.prepare(sql),
    batch: async (statements: D1PreparedStatement[]) => (await env.AUDIT_DB.batch(statements)).map(collect),
  } as unknown as D1Database;
}

/** Counts the rows that statements write until the returned function is called. */
function rowsWritten(sql: SqlStorage, { all = true } = {}): () => { rows: number; ofChunks: number } {
  const cursors: { readonly query: string; readonly cursor: SqlStorageCursor<Record<string, SqlStorageValue>> }[] = [];
  const { exec } = sql;
  sql.exec = ((query: string, ...values: unknown[]) => {
    const cursor = exec.call(sql, query, ...values);
    cursors.push({ query, cursor });
    return cursor;
  }) as typeof sql.exec;
  return () => {
    sql.exec = exec;
    const sum = (some: typeof cursors) => some.reduce((rows, { cursor }) => rows + cursor.rowsWritten, 0);
    // On a slow machine a session may last until a checkpoint, which is counted separately.
    const others = cursors.filter(({ query }) => all || !query.includes("SET checkpoint_at"));
    return { rows: sum(others), ofChunks: sum(cursors.filter(({ query }) => query.includes("recording_chunks"))) };
  };
}

describe("the constants of the sizing model match measurements", () => {
  it("rows of D1 for each event, indexes included", async () => {
    for (const type of TYPES) {
      const metas: D1Meta[] = [];
      await insertEvents(observed(metas), [eventOf(type)]);
      expect([type, metas.map(({ rows_written }) => rows_written)]).toEqual([type, [d1RowsOfEvent(type)]]);
    }
  });

  it("bytes of D1 for each row, within a quarter", async () => {
    const many = 1_000;
    const bytesOf = async (write: () => Promise<void>) => {
      const size = async () => (await env.AUDIT_DB.prepare("SELECT 1").run()).meta.size_after;
      const before = await size();
      await write();
      return ((await size()) - before) / many;
    };
    const measured: Record<string, number> = {};
    for (const type of TYPES) {
      measured[type] = await bytesOf(() =>
        insertEvents(
          env.AUDIT_DB,
          Array.from({ length: many }, () => eventOf(type)),
        ),
      );
    }
    for (const [type, bytes] of Object.entries(D1_BYTES)) {
      const ratio = bytes / (measured[type] ?? 0);
      expect(ratio, `${type}: ${measured[type]} bytes were measured`).toBeGreaterThan(0.75);
      expect(ratio, `${type}: ${measured[type]} bytes were measured`).toBeLessThan(1.25);
    }
  });

  it("rows of the user's object for a whole recorded session", async () => {
    const person = someone();
    const session = async () => {
      const pod = await Puppet.make();
      const client = await Client.open(upgrade(person, pod.path()));
      pod.send(frame(1, "shown"));
      await eventually(() => expect(client.text(1)).toBe("shown"));
      pod.send(SUCCESS);
      pod.close(1000);
      await ended(client.sessionId);
      await eventually(async () => expect(await env.RECORDINGS.head(recordingKey(client.sessionId))).not.toBeNull());
      return client.sessionId;
    };
    // The first session of a user replaces no earlier start.
    await session();
    const stub = env.USER_SESSIONS.getByName(person.email);
    let counted = () => ({ rows: 0, ofChunks: 0 });
    await runInDurableObject(stub, (_, { storage }) => {
      counted = rowsWritten(storage.sql, { all: false });
    });
    const id = await session();
    await runInDurableObject(stub, (_, { storage }) =>
      eventually(() => {
        const [left] = storage.sql.exec<{ n: number }>(
          "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM recordings) AS n",
        );
        expect(left?.n).toBe(0);
      }),
    );
    const events = (await eventsOf(id)).length;
    const { rows, ofChunks } = await runInDurableObject(stub, () => counted());
    expect(rows - ofChunks).toBe(objectRowsOfSession({ events, isRecorded: true }));
    expect(ofChunks % OBJECT_ROWS.chunk).toBe(0);
    expect(ofChunks).toBeGreaterThan(0);
  });

  it("rows of the user's object for a change", async () => {
    const stub = env.USER_SESSIONS.getByName(`rows-${crypto.randomUUID()}`);
    await runInDurableObject(stub, (_, { storage }) => {
      const journal = new SessionJournal(storage.sql);
      const change = (id: string) => {
        const data = { ...AUDITED_REQUEST, awaits_response: true };
        journal.appendRequest(id, 1, { type: "request", data }, true);
        journal.appendResponse(id, 2, { status: 200, reason: null });
        journal.removeDelivered(journal.queued(2).at(-1)?.row_number ?? 0);
      };
      // The first one makes the row of the user's chain.
      change("first");
      const counted = rowsWritten(storage.sql);
      change("second");
      expect(counted().rows).toBe(OBJECT_ROWS.change);
    });
  });

  it("calls, rows and alarms of changes that each come alone, through the edge", async () => {
    const person = someone();
    const stub = env.USER_SESSIONS.getByName(person.email);
    const calls: string[] = [];
    const counting = {
      idFromName: (name: string) => env.USER_SESSIONS.idFromName(name),
      get: (id: DurableObjectId) =>
        new Proxy(env.USER_SESSIONS.get(id), {
          get: (target, method) => {
            calls.push(String(method));
            return Reflect.get(target, method);
          },
        }),
    };
    // Each isolate is given an allowance, which stays reserved for a moment.
    const config = { audit: { requests: { maxChangesPerMinute: 10_000 } } };
    /** By another isolate each time, which knows nothing of the person, and long after the one before. */
    const changeAlone = async () => {
      const path = "/api/v1/namespaces/demo/configmaps/settings";
      const init = { method: "PATCH", body: "{}" };
      const { status } = await directlyAs(person, path, init, { config, bindings: { USER_SESSIONS: counting } });
      expect(status).toBe(200);
      await runInDurableObject(stub, (_, { storage }) =>
        eventually(() => {
          const [left] = storage.sql.exec<{ n: number }>(
            "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM open_requests) AS n",
          );
          expect(left?.n).toBe(0);
        }),
      );
      expect(await runDurableObjectAlarm(stub)).toBe(true);
    };
    // The first one makes the row of the user's chain.
    await changeAlone();
    calls.length = 0;
    let counted = () => ({ rows: 0, ofChunks: 0 });
    let alarms = 0;
    await runInDurableObject(stub, (_, { storage }) => {
      counted = rowsWritten(storage.sql);
      const { setAlarm } = storage;
      storage.setAlarm = (...at: Parameters<typeof setAlarm>) => {
        alarms++;
        return setAlarm.apply(storage, at);
      };
    });
    const many = 20;
    for (let count = 0; count < many; count++) await changeAlone();
    const perMethod = Object.entries(Object.groupBy(calls, (method) => method));
    expect(perMethod.map(([method, all]) => [method, all?.length]).sort()).toEqual([
      ["readState", many],
      ["recordRequest", many],
      ["recordResponse", many],
    ]);
    expect(perMethod.length).toBe(CALLS_PER_CHANGE_ALONE);
    expect(alarms).toBe(many * ALARMS_PER_CHANGE_ALONE);
    expect((await runInDurableObject(stub, () => counted())).rows).toBe(many * OBJECT_ROWS.change);
  });

  it("rows of a piece of input that a command does not take", () =>
    runInDurableObject(env.USER_SESSIONS.getByName(`rows-${crypto.randomUUID()}`), (_, { storage }) => {
      const buffer = new StdinBuffer(storage.sql, "s");
      const piece = { bytes: new Uint8Array(32_769), isText: false, isLast: true };
      const pieces = rowsWritten(storage.sql);
      for (let count = 0; count < 3; count++) buffer.append(piece);
      while (!buffer.isEmpty) buffer.take();
      expect(pieces().rows).toBe(3 * OBJECT_ROWS.stdinPiece);
    }));

  it("rows of a checkpoint and of a chunk", () =>
    runInDurableObject(env.USER_SESSIONS.getByName(`rows-${crypto.randomUUID()}`), (_, { storage }) => {
      const store = new SessionJournal(storage.sql);
      const spool = new Spool(storage.sql);
      store.append("s", 1, { type: "start", data: DATA.start });
      const counts = { bytes_in: 1, bytes_out: 2, messages_in: 3, messages_out: 4 };
      const checkpoint = rowsWritten(storage.sql);
      store.checkpoint("s", 2, counts);
      expect(checkpoint().rows).toBe(OBJECT_ROWS.checkpoint);
      const { kind, namespace, pod, container, command, tty, user, cluster } = DATA.start;
      const number = spool.begin({ sessionId: "s", user, cluster, kind, namespace, pod, container, command, tty }, 3);
      const chunk = rowsWritten(storage.sql);
      spool.append(number, 0, new Uint8Array(100), 4);
      spool.append(number, 100, new Uint8Array(100), 5);
      const found = spool.find("s");
      if (!found) throw new Error("the spool has no recording");
      spool.partUploaded(found, "etag");
      expect(chunk().ofChunks).toBe(2 * OBJECT_ROWS.chunk);
    }));
});
