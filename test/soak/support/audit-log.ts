/** Compares the audit log in D1 with what the clients saw. */
import { existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { ChainedEvent } from "../../../audit/chain.ts";
import type { SessionEnd, SessionStart } from "../../../audit/events.ts";
import { ChainVerifier, type Verdict } from "../../../audit/verify.ts";
import type { ClientSession } from "./client-session.ts";

/** A kill of workerd or of everything. */
export interface Kill {
  readonly moment: string;
  readonly at: number;
  /** When workerd answered again. */
  readyAt: number;
}

export interface RecordedSession {
  readonly id: string;
  readonly start: (SessionStart & { readonly at: number }) | undefined;
  readonly ends: readonly (SessionEnd & { readonly at: number; readonly hash: string })[];
}

export interface AuditLog {
  readonly sessions: ReadonlyMap<string, RecordedSession>;
  readonly verdict: Verdict;
}

/** Waits for the file, which a workerd that has just started locks for a moment. */
function openAuditLog(d1Path: string): DatabaseSync {
  return new DatabaseSync(d1Path, { readOnly: true, timeout: 10_000 });
}

/** Reads the file of the local D1 directly, without workerd. */
export function readAuditLog(d1Path: string): AuditLog {
  const database = openAuditLog(d1Path);
  const sessions = new Map<
    string,
    { id: string; start: RecordedSession["start"]; ends: RecordedSession["ends"][0][] }
  >();
  const verifier = new ChainVerifier();
  try {
    const rows = database
      .prepare("SELECT session_id, seq, at, type, data, prev_hash, hash FROM events ORDER BY session_id, seq")
      .iterate();
    for (const row of rows) {
      const event = row as unknown as ChainedEvent;
      verifier.add(event);
      const session = sessions.get(event.session_id) ?? { id: event.session_id, start: undefined, ends: [] };
      sessions.set(event.session_id, session);
      if (event.type === "start") session.start = { ...(JSON.parse(event.data) as SessionStart), at: event.at };
      if (event.type === "end") {
        session.ends.push({ ...(JSON.parse(event.data) as SessionEnd), at: event.at, hash: event.hash });
      }
    }
  } finally {
    database.close();
  }
  return { sessions, verdict: verifier.finish() };
}

/** @returns the number of sessions without an end */
export function countOpen(d1Path: string): number {
  const database = openAuditLog(d1Path);
  try {
    const row = database.prepare("SELECT count(*) AS open FROM sessions WHERE state = 'live'").get();
    return Number(row?.["open"]);
  } finally {
    database.close();
  }
}

/**
 * Events reach D1 a moment after they are written, several together. So a session that is not open in D1 may
 * not be there at all yet.
 *
 * @returns ids of sessions that a client had open, and whose end D1 does not have
 */
export function undelivered(clients: readonly ClientSession[], { sessions }: AuditLog): string[] {
  const opened = clients.flatMap(({ openedAt, id }) => (openedAt !== undefined && id !== undefined ? [id] : []));
  return opened.filter((id) => !sessions.get(id)?.ends[0]);
}

/**
 * Data that was read from upstream and had not reached the client when workerd died: queues and socket
 * buffers.
 */
const IN_FLIGHT_BYTES = { bulk: 8 * 1024 * 1024, other: 256 * 1024 } as const;
/**
 * Counts are saved every 5 s by a tick of 1 s. The rest allows for an overloaded machine.
 */
const MAX_STALENESS_MS = 20_000;
/** The heartbeat's 30 s, and the delay of a busy machine. */
const MAX_CLOSING_MS = 35_000;
const NEAR_KILL_MS = 2_500;
const NOTICED_MS = 50;
/** From the decision to kill to the process's end. Far less than a restart takes. */
const DYING_MS = 300;

export interface Findings {
  readonly faults: string[];
  /** Sessions with a 101 that are missing in the audit log, wholly or in part. */
  lost: number;
  leftOpen: number;
  readonly outcomes: Map<string, number>;
  /** How long workerd had run after the kill when it closed an interrupted session, ms. */
  readonly closingMs: number[];
  /** Age of the last known counts of an interrupted session, ms. */
  readonly stalenessMs: number[];
}

/** Checks every session whose client got a 101. */
export function checkSessions(
  clients: readonly ClientSession[],
  { sessions, verdict }: AuditLog,
  kills: readonly Kill[],
): Findings {
  const findings: Findings = {
    faults: verdict.broken.map(({ session_id, seq, problem }) => `chain: ${session_id} event ${seq}: ${problem}`),
    lost: 0,
    leftOpen: verdict.open.length,
    outcomes: new Map(),
    closingMs: [],
    stalenessMs: [],
  };
  for (const id of verdict.open) findings.faults.push(`${id} has no end`);
  for (const { ends } of sessions.values()) {
    for (const { outcome } of ends) findings.outcomes.set(outcome, (findings.outcomes.get(outcome) ?? 0) + 1);
  }
  for (const client of clients) {
    if (client.openedAt === undefined) continue;
    const recorded = client.id === undefined ? undefined : sessions.get(client.id);
    const fault = (message: string) =>
      findings.faults.push(`${client.kind} of ${client.email} ${client.id}: ${message}`);
    const [end, second] = recorded?.ends ?? [];
    if (!recorded?.start || !end || second) {
      findings.lost++;
      fault(recorded?.start ? `${recorded.ends.length} ends` : "its start is not in the audit log");
      continue;
    }
    if (recorded.start.user !== client.email) fault(`recorded as ${recorded.start.user}`);
    const kill = killOf(client, recorded, kills);
    checkOutcome(client, end, kill, fault);
    checkCounts(client, end, kill, kills, findings, fault);
  }
  return findings;
}

export type End = RecordedSession["ends"][0];
type Fault = (message: string) => void;

function checkOutcome(client: ClientSession, end: End, kill: Kill | undefined, fault: Fault): void {
  const allowed = allowedOutcomes(client, kill);
  if (!allowed.includes(end.outcome)) {
    const story = `close ${client.closeCode}, exit ${client.receivedExitCode}, left with ${client.departure}, ${kill ? "killed" : "not killed"}`;
    fault(`its outcome is ${end.outcome} (${end.reason}), not ${allowed.join(" or ")}: ${story}`);
  }
  if (end.outcome === "exited" && client.receivedExitCode !== undefined && end.exit_code !== client.receivedExitCode) {
    fault(`exit code ${end.exit_code} is recorded, the client received ${client.receivedExitCode}`);
  }
  if (end.outcome === "interrupted" && end.exit_code !== null) fault("interrupted, with an exit code");
}

function allowedOutcomes(client: ClientSession, kill: Kill | undefined): string[] {
  const interrupted = kill ? ["interrupted"] : [];
  // The close is sent after the end was written, so a client that has seen it can rely on the audit log.
  if (client.receivedExitCode !== undefined && client.closeCode === 1000) return ["exited"];
  if (client.termination === "confirmed") return ["terminated"];
  if (client.termination === "asked") return ["terminated", "disconnected", "exited", ...interrupted];
  // A session that ends by itself may do so just before its client leaves.
  const exited = client.isFinite ? ["exited"] : [];
  if (client.departure === "close" || client.departure === "terminate")
    return ["disconnected", ...exited, ...interrupted];
  if (client.departure === "half-close" || client.isFinite) return ["exited", ...interrupted];
  return interrupted;
}

/**
 * Finds the kill that cut a session, or that may have done so because it came soon after its client had left.
 * It is the first one after the session's start, since no session survives a kill. The time at which the
 * client noticed is no evidence: a busy client may notice after the next kill.
 */
export function killOf(client: ClientSession, { start }: RecordedSession, kills: readonly Kill[]): Kill | undefined {
  const began = start?.at ?? client.openedAt ?? 0;
  const ended = client.endedAt ?? Number.POSITIVE_INFINITY;
  const first = kills.find(({ at }) => at >= began - DYING_MS);
  return first && first.at <= ended + (client.departure ? NEAR_KILL_MS : NOTICED_MS) ? first : undefined;
}

/** Without the channel byte of each message: messages are joined and cut on their way to the client. */
function payloadBytes({ messages, bytes }: { readonly messages: number; readonly bytes: number }): number {
  return bytes - messages;
}

function checkCounts(
  client: ClientSession,
  end: End,
  kill: Kill | undefined,
  kills: readonly Kill[],
  findings: Findings,
  fault: Fault,
): void {
  const { sent, received } = client;
  const inFlight = IN_FLIGHT_BYTES[client.kind === "bulk" ? "bulk" : "other"];
  if (end.bytes_in > sent.bytes || end.messages_in > sent.messages) {
    fault(`${end.bytes_in} bytes in are recorded, the client sent ${sent.bytes}`);
  }
  if (end.outcome === "exited" && client.closeCode === 1000) {
    const [recorded, got] = [
      payloadBytes({ messages: end.messages_out, bytes: end.bytes_out }),
      payloadBytes(received),
    ];
    if (recorded !== got) fault(`${recorded} bytes of output are recorded, the client got ${got}`);
  }
  if (end.bytes_out > received.bytes + inFlight) {
    fault(`${end.bytes_out} bytes out are recorded, the client got ${received.bytes}`);
  }
  if (end.outcome !== "interrupted" || !kill) return;

  const seenAt = Date.parse(/after (\S+)$/.exec(end.reason ?? "")?.[1] ?? "");
  if (Number.isNaN(seenAt)) {
    fault(`interrupted without a time: ${end.reason}`);
    return;
  }
  const sample = client.samples.findLast(({ at }) => at <= seenAt);
  const known = sample ? payloadBytes(sample.received) : 0;
  if (end.bytes_out < known) fault(`${end.bytes_out} bytes out are recorded, the client had ${known} by then`);
  const staleness = kill.at - seenAt;
  findings.stalenessMs.push(staleness);
  if (staleness > MAX_STALENESS_MS) fault(`its last known counts were ${staleness} ms old`);
  const closing = end.at - kill.at - downtimeMs(kill, end.at, kills);
  findings.closingMs.push(Math.max(0, closing));
  if (end.at < kill.at) fault(`it was closed ${kill.at - end.at} ms before the kill`);
  if (closing > MAX_CLOSING_MS) fault(`it was closed when workerd had run for ${closing} ms after the kill`);
}

/** Time in which workerd was down, so that no alarm could run. */
function downtimeMs(from: Kill, until: number, kills: readonly Kill[]): number {
  return kills
    .filter(({ at }) => at >= from.at && at <= until)
    .reduce((sum, { at, readyAt }) => sum + Math.max(0, readyAt - at), 0);
}

/** After this time, a session that its client has ended must not count against the limit. */
const LET_GO_MS = 3_000;

/**
 * @returns refusals of users who had not reached the limit, sessions that just ended included
 */
export function leakedLeases(clients: readonly ClientSession[], maxSessionsPerUser: number): string[] {
  return clients.flatMap(({ email, refusal, attemptedAt, endedAt = 0 }) => {
    if (refusal?.status !== 429) return [];
    const taking = clients.filter(
      (other) =>
        other.email === email &&
        other.refusal === undefined &&
        other.attemptedAt <= endedAt &&
        (other.endedAt ?? Number.POSITIVE_INFINITY) >= attemptedAt - LET_GO_MS,
    );
    if (taking.length >= maxSessionsPerUser) return [];
    return [`${email} was refused at ${new Date(attemptedAt).toISOString()} with ${taking.length} sessions`];
  });
}

/** @returns session ids that reached the cluster but are not in the audit log, which must come first */
export function unrecordedInCluster(auditLog: string, { sessions }: AuditLog): string[] {
  const ids = new Set<string>();
  for (const line of readLines(auditLog)) {
    for (const [, id] of line.matchAll(/"sallyport-session":\["([\w-]{64})"\]/g)) if (id) ids.add(id);
  }
  if (ids.size === 0) throw new Error(`no session ids in ${auditLog}`);
  return [...ids].filter((id) => !sessions.has(id));
}

/** @returns sessions whose last logged hash differs from D1's, and how many have a hash in the log */
export function compareLoggedHashes(logPath: string, { sessions }: AuditLog) {
  const logged = new Map<string, string>();
  for (const line of [`${logPath}.1`, logPath].flatMap(readLines)) {
    const match = /{"event":"session_ended".*"session":"([\w-]{64})","hash":"([0-9a-f]{64})"}/.exec(line);
    if (match?.[1] && match[2]) logged.set(match[1], match[2]);
  }
  const different = [...logged].filter(([id, hash]) => sessions.get(id)?.ends[0]?.hash !== hash).map(([id]) => id);
  return { logged: logged.size, different };
}

function readLines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
}
