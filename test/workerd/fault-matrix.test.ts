/**
 * The fault matrix: for every fault at every moment, what the person sees, what D1 has, and what the
 * recording has.
 *
 * The table is the specification. test/support/fault-matrix.ts defines its terms, and faults.ts makes the
 * faults. Beside what a cell says, D1 always has one start, first, and one end, last, numbered without a gap,
 * in a chain that verifies. Afterwards no session is open and nothing is left in the person's object.
 */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import type { SessionEnd } from "../../audit/events.ts";
import type { SessionRow } from "../../audit/rows.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { recordingKey } from "../../contract/recording.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { eventually } from "../support/eventually.ts";
import { type Cell, FAULTS, type Fault, type Line, MOMENTS, type Moment, type Row } from "../support/fault-matrix.ts";
import { askUserObject } from "./ask-user-object.ts";
import { endedOf } from "./audit-rows.ts";
import { STRIKES } from "./faults.ts";
import { admin, as, IS_TCP } from "./people.ts";
import { Stage } from "./stage.ts";

const LOST = "the connection to the cluster was lost";
const LOST_1006 = `${LOST} (WebSocket close 1006)`;
const UNREACHABLE = "the cluster cannot be reached: try again; if this persists, contact your administrator";
const NO_ANSWER = "the cluster did not answer within 40 s: try again; if this persists, contact your administrator";
const CLUSTER_STALLED = "session ended: the cluster stopped reading what it was sent";
const CLIENT_STALLED = "session ended: its client stopped reading what it was sent";
const UNRECORDED =
  "the audit database does not accept events, and must have this session's start first: try again; if this persists, contact your administrator";
const IDLE = "session ended: idle for 4s, the longest allowed";
const KILLED = "session terminated by admin@example.com: because";
const STOPPED = /^the object that held the session stopped \(crash, eviction or deploy\) after \d{4}-\d\d-\d\dT/;

const complete = (marker: string) => ({ state: "complete", lastLines: [["m", marker]] }) as const;
const INTERRUPTED = {
  state: "interrupted",
  lastLines: [
    ["o", /recording interrupted here: the object that held the session stopped/],
    ["m", "interrupted"],
  ],
} as const;

/** The session goes on to its command's end. */
const UNDISTURBED: Cell = {
  userSees: { exitCode: 0 },
  d1Has: { outcome: "exited", reason: null, exit_code: 0 },
  recordingHas: complete("exit code 0"),
};

const ONLY_AT_FIRST = "the cluster accepts or refuses with its answer to the upgrade, before anything else";

const TABLE: Readonly<Record<Exclude<Fault, "workerd killed">, Row>> = {
  "upstream refuses": {
    dialling: {
      userSees: { refusal: 403, message: "RBAC says no" },
      d1Has: { outcome: "refused", reason: "RBAC says no" },
      recordingHas: "none",
    },
    opened: { impossible: ONLY_AT_FIRST },
    "mid-stream": { impossible: ONLY_AT_FIRST },
    "during close": { impossible: ONLY_AT_FIRST },
  },

  "upstream dies": {
    // A Worker that dies is answered for by its HTTP server. A connection that breaks:
    // test/workerd/tcp-cluster.test.ts.
    dialling: IS_TCP
      ? {
          userSees: { refusal: 500, message: "Internal Server Error" },
          d1Has: { outcome: "refused", reason: "Internal Server Error" },
          recordingHas: "none",
        }
      : {
          userSees: { refusal: 503, message: UNREACHABLE },
          d1Has: { outcome: "refused", reason: UNREACHABLE },
          recordingHas: "none",
        },
    opened: {
      userSees: { toldOnChannel3: LOST },
      d1Has: { outcome: "upstream_lost", reason: LOST_1006 },
      recordingHas: complete(`ended: upstream_lost: ${LOST_1006}`),
    },
    "mid-stream": {
      userSees: { toldOnChannel3: LOST },
      d1Has: { outcome: "upstream_lost", reason: LOST_1006 },
      recordingHas: complete(`ended: upstream_lost: ${LOST_1006}`),
    },
    // The command had ended and its Status had arrived: nothing is lost with the connection.
    "during close": UNDISTURBED,
  },

  // It answers nothing and reads nothing.
  "upstream stalls": {
    dialling: {
      userSees: { refusal: 504, message: NO_ANSWER },
      d1Has: { outcome: "refused", reason: NO_ANSWER },
      recordingHas: "none",
    },
    opened: {
      userSees: { toldOnChannel3: CLUSTER_STALLED },
      d1Has: { outcome: "stalled", reason: CLUSTER_STALLED, counts: "what had flowed, and more" },
      recordingHas: complete(`ended: stalled: ${CLUSTER_STALLED}`),
    },
    "mid-stream": {
      userSees: { toldOnChannel3: CLUSTER_STALLED },
      d1Has: { outcome: "stalled", reason: CLUSTER_STALLED, counts: "what had flowed, and more" },
      recordingHas: complete(`ended: stalled: ${CLUSTER_STALLED}`),
    },
    // The client closes, and its close is answered although the cluster does not answer.
    "during close": {
      ...UNDISTURBED,
      d1Has: { ...UNDISTURBED.d1Has, counts: "what had flowed, and more" },
    },
  },

  "client dies": {
    dialling: {
      userSees: "nothing",
      d1Has: { outcome: "disconnected", reason: null },
      recordingHas: "none",
    },
    opened: {
      userSees: "nothing",
      d1Has: { outcome: "disconnected", reason: null },
      recordingHas: complete("ended: disconnected"),
    },
    "mid-stream": {
      userSees: "nothing",
      d1Has: { outcome: "disconnected", reason: null },
      recordingHas: complete("ended: disconnected"),
    },
    "during close": { ...UNDISTURBED, userSees: "nothing" },
  },

  // It reads nothing. It sees the message once it reads again.
  "client stalls": {
    dialling: { impossible: "before the cluster has answered there is nothing to read" },
    opened: {
      userSees: { toldOnChannel3: CLIENT_STALLED },
      d1Has: { outcome: "stalled", reason: CLIENT_STALLED, counts: "what had flowed, and more" },
      recordingHas: complete(`ended: stalled: ${CLIENT_STALLED}`),
    },
    "mid-stream": {
      userSees: { toldOnChannel3: CLIENT_STALLED },
      d1Has: { outcome: "stalled", reason: CLIENT_STALLED, counts: "what had flowed, and more" },
      recordingHas: complete(`ended: stalled: ${CLIENT_STALLED}`),
    },
    // Over TCP, the cluster's close lies behind output that the client has not read. Else, nobody waits for
    // the client.
    "during close": {
      ...UNDISTURBED,
      d1Has: {
        ...UNDISTURBED.d1Has,
        reason: IS_TCP ? CLIENT_STALLED : null,
        counts: "what had flowed, and more",
      },
    },
  },

  "D1 fails, policy buffer": {
    dialling: UNDISTURBED,
    opened: UNDISTURBED,
    "mid-stream": UNDISTURBED,
    "during close": UNDISTURBED,
  },

  "D1 fails, policy fail-closed": {
    dialling: {
      userSees: { refusal: 503, message: UNRECORDED },
      d1Has: { outcome: "refused", reason: UNRECORDED },
      recordingHas: "none",
    },
    // An open session has its start in D1, and goes on.
    opened: UNDISTURBED,
    "mid-stream": UNDISTURBED,
    "during close": UNDISTURBED,
  },

  // Even with the strictest policy the session goes on, because the recording waits in the object.
  "R2 fails": {
    dialling: UNDISTURBED,
    opened: UNDISTURBED,
    "mid-stream": UNDISTURBED,
    "during close": UNDISTURBED,
  },

  "object aborted": {
    dialling: {
      userSees: {
        refusal: 503,
        message: /^the part of Sallyport that holds the user's sessions cannot be reached: try again/,
      },
      d1Has: { outcome: "interrupted", reason: STOPPED },
      recordingHas: "none",
    },
    opened: {
      userSees: "a broken connection",
      d1Has: { outcome: "interrupted", reason: STOPPED },
      recordingHas: INTERRUPTED,
    },
    "mid-stream": {
      userSees: "a broken connection",
      d1Has: { outcome: "interrupted", reason: STOPPED, counts: "what had flowed, or less" },
      recordingHas: INTERRUPTED,
    },
    // The Status was written before it was passed on, and the recording with it.
    "during close": {
      userSees: "a broken connection",
      d1Has: { outcome: "exited", reason: null, exit_code: 0, counts: "what had flowed, or less" },
      recordingHas: complete("exit code 0"),
    },
  },

  "limit reached": {
    dialling: {
      userSees: { refusal: 403, message: IDLE },
      d1Has: { outcome: "idle_limit", reason: IDLE },
      recordingHas: "none",
    },
    opened: {
      userSees: { toldOnChannel3: IDLE },
      d1Has: { outcome: "idle_limit", reason: IDLE },
      recordingHas: complete(`ended: idle_limit: ${IDLE}`),
    },
    "mid-stream": {
      userSees: { toldOnChannel3: IDLE },
      d1Has: { outcome: "idle_limit", reason: IDLE },
      recordingHas: complete(`ended: idle_limit: ${IDLE}`),
    },
    // The command had ended: the limit only closes the connection.
    "during close": { ...UNDISTURBED, d1Has: { outcome: "exited", reason: IDLE, exit_code: 0 } },
  },

  "killed by admin": {
    dialling: {
      userSees: { refusal: 403, message: KILLED },
      d1Has: { outcome: "terminated", reason: "because", ended_by: "admin@example.com" },
      recordingHas: "none",
    },
    opened: {
      userSees: { toldOnChannel3: KILLED },
      d1Has: { outcome: "terminated", reason: "because", ended_by: "admin@example.com" },
      recordingHas: complete("ended: terminated: because"),
    },
    "mid-stream": {
      userSees: { toldOnChannel3: KILLED },
      d1Has: { outcome: "terminated", reason: "because", ended_by: "admin@example.com" },
      recordingHas: complete("ended: terminated: because"),
    },
    // The audit log has the kill, and the exit code of the command that had ended before.
    "during close": {
      userSees: { exitCode: 0 },
      d1Has: { outcome: "terminated", reason: "because", ended_by: "admin@example.com", exit_code: 0 },
      recordingHas: complete("ended: terminated: because"),
    },
  },
};

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
afterEach(() => void vi.restoreAllMocks());

it("the table has every fault at every moment, or a reason why there is none", () => {
  // Only test/e2e/fault-matrix.test.ts can kill workerd itself.
  expect(new Set([...Object.keys(TABLE), "workerd killed"])).toEqual(new Set(FAULTS));
  for (const [fault, row] of Object.entries(TABLE)) {
    expect([fault, Object.keys(row)]).toEqual([fault, MOMENTS]);
    for (const cell of Object.values(row)) if ("impossible" in cell) expect(cell.impossible).toMatch(/\w+ \w+/);
  }
});

const faults = Object.keys(STRIKES) as (keyof typeof STRIKES)[];
describe.each(faults)("%s", (fault) => {
  const possible = MOMENTS.flatMap((moment) => {
    const cell = TABLE[fault][moment];
    return "impossible" in cell ? [] : [[moment, cell] as const];
  });
  it.each(possible)("%s", async (moment, cell) => {
    const strike = STRIKES[fault];
    strike.before?.(moment);
    const stage = await Stage.reach(moment, strike.config ?? {}, strike.canClientStall);
    await strike.now(stage, moment);

    await expectSight(stage, moment, cell.userSees);
    const [row] = await endedOf(stage.person.email, 1);
    if (!row) throw new Error("D1 has no session");
    await expectAudited(stage, row, cell.d1Has);
    await expectRecording(row.id, moment, cell.recordingHas);
    await expectNothingLeft(stage);
  });
});

async function expectSight(stage: Stage, moment: Moment, sight: Cell["userSees"]): Promise<void> {
  if (sight === "nothing") return;
  if (typeof sight === "object" && "refusal" in sight) {
    const refusal = await eventually(() => {
      if (!stage.refusal) throw new Error(`not refused; ${stage.attemptFailed}`);
      return stage.refusal;
    });
    const { message } = sight;
    expect(refusal.status).toBe(sight.refusal);
    const text = await refusal.text();
    // The cluster's own text is passed on as it is.
    if (refusal.headers.get("Content-Type")?.startsWith("text/plain")) {
      expect(text).toBe(message);
      return;
    }
    expect(JSON.parse(text)).toMatchObject({
      kind: "Status",
      status: "Failure",
      code: sight.refusal,
      message: typeof message === "string" ? message : expect.stringMatching(message),
    });
    return;
  }
  await stage.hungUp();
  const { client } = stage;
  if (moment === "mid-stream" || moment === "during close") expect(client?.text(1).slice(0, 3)).toBe("out");
  if (sight === "a broken connection") {
    expect(client?.hungUp?.code).toBe(1006);
    return;
  }
  // Exactly one Status, because kubectl reads channel 3 as one JSON document.
  const status = JSON.parse(client?.text(3) ?? "");
  if ("exitCode" in sight) expect(status).toMatchObject({ status: "Success" });
  else expect(status).toMatchObject({ kind: "Status", status: "Failure", message: sight.toldOnChannel3 });
  // With any other code kubectl prints the close and not the Status.
  expect(client?.hungUp?.code).toBe(1000);
}

async function expectAudited(stage: Stage, row: SessionRow, expected: Cell["d1Has"]): Promise<void> {
  const { outcome, reason, exit_code = null, ended_by = null, counts } = expected;
  expect(row).toMatchObject({ outcome, exit_code, ended_by });
  if (reason instanceof RegExp) expect(row.reason).toMatch(reason);
  else expect(row.reason).toBe(reason);
  for (const key of ["bytes_in", "bytes_out", "messages_in", "messages_out"] as const) {
    const [has, flowed] = [row[key] ?? -1, stage.flowed[key]];
    if (counts === "what had flowed, or less") expect([key, has]).toEqual([key, Math.min(Math.max(has, 0), flowed)]);
    else if (counts === "what had flowed, and more") expect([key, has]).toEqual([key, Math.max(has, flowed)]);
    else expect([key, has]).toEqual([key, flowed]);
  }
  const { results } = await env.AUDIT_DB.prepare(
    "SELECT session_id, seq, at, type, data, prev_hash, hash FROM events WHERE session_id = ? ORDER BY seq",
  )
    .bind(row.id)
    .all<ChainedEvent>();
  const verifier = new ChainVerifier();
  for (const event of results) verifier.add(event);
  expect(verifier.finish()).toMatchObject({ sessions: 1, events: results.length, open: [], broken: [] });
  expect(results.map(({ seq }) => seq)).toEqual(results.map((_, index) => index));
  const [first, ...rest] = results.map(({ type }) => type);
  expect([first, rest.pop()]).toEqual(["start", "end"]);
  // In between there is only `connect`, if the session opened.
  expect(["", "connect"]).toContain(rest.join());
}

async function expectRecording(sessionId: string, moment: Moment, expected: Cell["recordingHas"]): Promise<void> {
  const end = await env.AUDIT_DB.prepare("SELECT data FROM events WHERE session_id = ? AND type = 'end'")
    .bind(sessionId)
    .first<{ data: string }>();
  const summary = (JSON.parse(end?.data ?? "") as SessionEnd).recording;
  const read = () => as(admin, `/-/admin/sessions/${sessionId}/recording`);
  if (expected === "none") {
    expect(summary).toBeUndefined();
    expect((await read()).status).toBe(404);
    return;
  }
  const object = await eventually(async () => {
    const found = await env.RECORDINGS.head(recordingKey(sessionId));
    if (!found) throw new Error("R2 has no recording");
    return found;
  });
  expect(summary).toMatchObject({ state: expected.state, bytes: object.size });
  const [header, ...lines] = new TextDecoder()
    .decode(await (await read()).arrayBuffer())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(header).toMatchObject({ version: 2, env: { SALLYPORT_SESSION: sessionId } });
  const shown = lines.map(([, code, data]: [number, Line[0], string]) => [code, data] as const);
  if (moment === "mid-stream" || moment === "during close") expect(shown[0]?.[1].slice(0, 3)).toBe("out");
  expect(shown.slice(-expected.lastLines.length)).toEqual(
    expected.lastLines.map(([code, data]) => [code, typeof data === "string" ? data : expect.stringMatching(data)]),
  );
}

async function expectNothingLeft({ object }: Stage): Promise<void> {
  expect(await askUserObject(object, "list", {})).toEqual([]);
  await eventually(() =>
    runInDurableObject(object, (_, { storage }) => {
      const store = new SessionJournal(storage.sql);
      const recordings = storage.sql.exec("SELECT session_id FROM recordings").toArray();
      expect([store.openSessions(), store.queueLength(), recordings]).toEqual([[], 0, []]);
    }),
  );
}
