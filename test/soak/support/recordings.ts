/**
 * Compares the recordings, read through the admin API, with what the clients saw and with the audit log.
 */
import type { RecordingSummary } from "../../../audit/events.ts";
import { type AuditLog, type Kill, killOf, type RecordedSession } from "./audit-log.ts";
import type { ClientSession } from "./client-session.ts";
import { isRecorded, ticksIn } from "./session-kinds.ts";

/** What a crash may lose of a recording, in addition to the delay of a busy machine. */
const MAX_LOST_MS = 1_000;
const READ_TIMEOUT_MS = 60_000;
const READ_AT_ONCE = 4;

export interface Cast {
  readonly bytes: number;
  /** All output, as a player shows it. */
  readonly output: string;
  /** Label of the last line. */
  readonly ending: string;
  /** Whether it came from the bucket, not from the object. */
  readonly isUploaded: boolean;
}

/**
 * Reads a session's recording through the admin API.
 *
 * @param adminUrl an administrator's address of the edge
 * @throws if there is none, or if it is not a complete asciicast of this session
 */
export async function readCast(adminUrl: string, id: string): Promise<Cast> {
  const url = `${adminUrl}/-/admin/sessions/${id}/recording`;
  const response = await fetch(url, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
  const body = Buffer.from(await response.arrayBuffer());
  const text = body.toString();
  if (response.status !== 200) throw new Error(`${response.status} ${text.slice(0, 200)}`);
  if (!text.endsWith("\n")) throw new Error("its last line is incomplete");
  const [header, ...events] = text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  const { version, env } = header as { version?: unknown; env?: Record<string, string> };
  if (version !== 2 || env?.["SALLYPORT_SESSION"] !== id) throw new Error("its first line is not its header");
  let [output, before] = ["", 0];
  for (const event of events) {
    const [seconds, code, data] = event as [number, string, string];
    if (typeof seconds !== "number" || seconds < before || typeof data !== "string")
      throw new Error("a line is not an event");
    before = seconds;
    if (code === "o") output += data;
  }
  const [, code, ending] = (events.at(-1) ?? []) as [number?, string?, string?];
  if (code !== "m" || ending === undefined) throw new Error(`its last line is ${JSON.stringify(events.at(-1))}`);
  return { bytes: body.length, output, ending, isUploaded: response.headers.has("content-length") };
}

export interface RecordingFindings {
  readonly faults: string[];
  read: number;
  /** Recordings that a kill has cut. */
  interrupted: number;
  bytes: number;
  /** Not in the bucket yet. */
  notUploaded: number;
  readonly states: Map<string, number>;
  /** For counters cut by a kill: from the last recorded line to the last one that the client received, ms. */
  readonly lostMs: number[];
  /** The largest delay of a counter's last lines, ms. */
  readonly lagMs: number[];
  /**
   * From the last recorded line to the kill, ms. Includes the time that a line takes through cluster and
   * Worker.
   */
  readonly beforeKillMs: number[];
}

/** Checks every session whose client got a 101 and that must be recorded. */
export async function checkRecordings(
  adminUrl: string,
  clients: readonly ClientSession[],
  { sessions }: AuditLog,
  kills: readonly Kill[],
): Promise<RecordingFindings> {
  const findings: RecordingFindings = {
    ...{ faults: [], read: 0, interrupted: 0, bytes: 0, notUploaded: 0 },
    ...{ states: new Map(), lostMs: [], lagMs: [], beforeKillMs: [] },
  };
  const waiting = clients.filter(({ kind, openedAt }) => openedAt !== undefined && isRecorded(kind));
  const readers = Array.from({ length: READ_AT_ONCE }, async () => {
    for (let client = waiting.pop(); client; client = waiting.pop()) {
      const { kind, email, id = "" } = client;
      const recorded = sessions.get(id);
      // Reported elsewhere.
      if (!recorded?.ends[0]) continue;
      const fault = (message: string) => findings.faults.push(`recording: ${kind} of ${email} ${id}: ${message}`);
      try {
        const cast = await readCast(adminUrl, id);
        findings.read++;
        checkCast(client, cast, recorded, kills, findings, fault);
      } catch (error) {
        fault(error instanceof Error ? error.message : String(error));
      }
    }
  });
  await Promise.all(readers);
  return findings;
}

function checkCast(
  client: ClientSession,
  cast: Cast,
  session: RecordedSession,
  kills: readonly Kill[],
  findings: RecordingFindings,
  fault: (message: string) => void,
): void {
  const [end] = session.ends;
  if (!end) return;
  const { recording } = end;
  const state: RecordingSummary["state"] | "none" = recording?.state ?? "none";
  findings.states.set(state, (findings.states.get(state) ?? 0) + 1);
  findings.bytes += cast.bytes;
  if (!cast.isUploaded) findings.notUploaded++;
  const isInterrupted = end.outcome === "interrupted";
  if (isInterrupted) findings.interrupted++;
  const allowed: readonly string[] = isInterrupted ? ["interrupted", "capped"] : ["complete", "capped"];
  if (!allowed.includes(state)) fault(`its outcome is ${end.outcome}, its recording is ${state}`);
  if (recording?.bytes !== cast.bytes) fault(`${recording?.bytes} bytes are recorded, ${cast.bytes} are there`);
  if (isInterrupted !== (cast.ending === "interrupted")) fault(`${end.outcome}, but its last line says ${cast.ending}`);
  if (client.kind !== "counter" || client.tickAt === undefined) return;

  const recordedAt = ticksIn(cast.output).at(-1) ?? client.firstTickAt ?? 0;
  const lost = Math.max(0, client.tickAt - recordedAt);
  const kill = isInterrupted ? killOf(client, session, kills) : undefined;
  if (!kill) {
    if (lost > 0) fault(`its last ${lost} ms are not in it, and it was not interrupted`);
    return;
  }
  findings.lostMs.push(lost);
  findings.beforeKillMs.push(kill.at - recordedAt);
  const lag = Math.max(0, ...client.tickLagsMs);
  findings.lagMs.push(lag);
  if (lost > MAX_LOST_MS + lag) fault(`its last ${lost} ms are lost, and all was late by no more than ${lag} ms`);
}
