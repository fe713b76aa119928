/** How the parts of Sallyport are, for whoever is on call: what is the matter, and what to do. Pure. */
import { MAX_COUNTED_SESSIONS } from "../../common/counted-sessions.ts";
import type { SystemHealth, Webhooks } from "./api/endpoints.ts";
import { reasonOf, textOf } from "./ui/form.ts";
import { toLocalInput } from "./ui/time-range.ts";

/** `good`: nothing to do. `look`: not now, but soon. `act`: now. `unknown`: nobody answered. `off`: not in use. */
export type Tone = "good" | "look" | "act" | "unknown" | "off";

export interface Finding {
  readonly id: "sessions" | "delivery" | "database" | "chain" | "seals" | "export" | "webhooks";
  readonly title: string;
  readonly tone: Tone;
  /** What there is to know. */
  readonly says: string;
  /** What to do, where it is not well. */
  readonly todo?: string;
  /** The heading in docs/RUNBOOK.md that has the rest. */
  readonly runbook?: string;
}

type Found = Omit<Finding, "id" | "title">;

const DAY_MS = 24 * 60 * 60 * 1_000;
/** Above it the edge logs `audit_database_filling`. */
const FILLING_RATIO = 0.6;
const FULL_RATIO = 0.9;
const LOOK_BEFORE_FULL_MS = 30 * DAY_MS;
const ACT_BEFORE_FULL_MS = 7 * DAY_MS;
/** A month is sealed at the latest a day after it is over. The rest is for outages. */
const SEALED_WITHIN_MS = 7 * DAY_MS;
/** The export runs every five minutes, and carries on where a run had too much. */
const EXPORTED_WITHIN_MS = 60 * 60 * 1_000;

/** @param now ms since the epoch */
export function findingsOf(health: SystemHealth, webhooks: Webhooks | undefined, now: number): readonly Finding[] {
  return [
    { id: "sessions", title: "New sessions", ...ofSessions(health) },
    { id: "delivery", title: "Delivery to the audit database", ...ofDelivery(health) },
    { id: "database", title: "Size of the audit database", ...ofDatabase(health, now) },
    { id: "chain", title: "Integrity of the newest events", ...ofChain(health) },
    { id: "seals", title: "Seals", ...ofSeals(health, now) },
    { id: "export", title: "Export", ...ofExport(health, now) },
    { id: "webhooks", title: "Notifications", ...ofWebhooks(webhooks) },
  ];
}

const DIRECTORY_AWAY = {
  tone: "unknown",
  says: "The directory does not answer. Sessions and requests do not depend on it.",
  todo: "Check again in a minute. If this persists, check Cloudflare's status of Durable Objects.",
} as const satisfies Found;

const DATABASE_AWAY = {
  tone: "unknown",
  says: "The audit database did not answer, so this is not known.",
} as const satisfies Found;

function ofSessions({ drain }: SystemHealth): Found {
  if (drain === null) return { ...DIRECTORY_AWAY, runbook: "A user object does not answer" };
  if (!drain.draining) return { tone: "good", says: "Sessions open as usual." };
  return {
    tone: "look",
    says: "New sessions are refused everywhere. Open sessions and API requests go on.",
    todo: "Open sessions again once the work is done. They open by themselves at the end.",
    runbook: "Nobody may open a session",
  };
}

function ofDelivery({ objects }: SystemHealth): Found {
  if (objects === null) return DIRECTORY_AWAY;
  if (objects.undeliveredSince === null) {
    return { tone: "good", says: "No object has had to wait for more than five minutes to deliver its events." };
  }
  return {
    tone: "act",
    says: "Events wait in people's objects, since the audit database does not take them. None is lost.",
    todo: "Look whether the database is full, and at Cloudflare's status of D1. They are delivered by themselves.",
    runbook: "D1 is down",
  };
}

function ofDatabase({ database, keepMonths }: SystemHealth, now: number): Found {
  if (database === null) {
    return {
      tone: "act",
      says: "The audit database does not answer. Events wait in the objects, and none is lost.",
      todo: "Look at Cloudflare's status of D1. Nothing has to be repaired afterwards.",
      runbook: "D1 is down",
    };
  }
  const { bytes, maxBytes, fullAt } = database;
  if (bytes === null) return { tone: "unknown", says: "It answers, but does not say how large it is." };
  const ratio = bytes / maxBytes;
  const leftMs = fullAt === null ? Number.POSITIVE_INFINITY : Date.parse(fullAt) - now;
  const says = `${ratio < 0.01 ? "Less than 1" : Math.floor(ratio * 100)}% of what D1 takes is used.`;
  const todo =
    keepMonths === null
      ? "Have sealed months leave D1: set audit.seal.keepMonths. Once it is full, no event is written."
      : "Lower audit.seal.keepMonths, or see who writes so much. Once it is full, no event is written.";
  if (ratio >= FULL_RATIO || leftMs < ACT_BEFORE_FULL_MS) return { tone: "act", says, todo, runbook: "D1 fills up" };
  if (ratio >= FILLING_RATIO || leftMs < LOOK_BEFORE_FULL_MS) {
    return { tone: "look", says, todo, runbook: "D1 fills up" };
  }
  return { tone: "good", says };
}

function ofChain({ recentChain }: SystemHealth): Found {
  if (recentChain === null) return DATABASE_AWAY;
  const { events, broken } = recentChain;
  if (broken.length === 0) {
    return { tone: "good", says: `The newest ${events} events are as they were hashed. This was checked just now.` };
  }
  return {
    tone: "act",
    says: `${broken.length} of the newest ${events} events are not as they were hashed: somebody has changed the log.`,
    todo: "Deploy nothing, and keep the database as it is. Then run npx sallyport audit-verify --remote.",
    runbook: "The audit chain is broken",
  };
}

function ofSeals({ database, seal, unsealed }: SystemHealth, now: number): Found {
  if (database === null) return DATABASE_AWAY;
  const sealed = seal === null ? "Nothing is sealed yet" : `The last seal is of ${seal.month}`;
  const isLate = unsealed !== null && now - endOfMonth(unsealed.month) > SEALED_WITHIN_MS;
  if (!isLate) return { tone: "good", says: `${sealed}. A month is sealed when it is over.` };
  return {
    tone: "act",
    says: `${sealed}, and events of ${unsealed.month} wait, which is over. No row leaves D1 meanwhile.`,
    todo: "Look for seal_failed in the edge's log, which says why.",
    runbook: "A seal is missing or altered",
  };
}

/** @param month such as `2026-11` @returns the first ms after it */
function endOfMonth(month: string): number {
  const [year = Number.NaN, number = Number.NaN] = month.split("-").map(Number);
  return Date.UTC(year, number, 1);
}

function ofExport({ export: exported }: SystemHealth, now: number): Found {
  if (exported === null) {
    return {
      tone: "unknown",
      says: "R2 or the audit database did not answer, so this is not known.",
      todo: "Check again in a minute. If this persists, check Cloudflare's status of R2.",
      runbook: "R2 is down",
    };
  }
  if (!exported.enabled)
    return { tone: "off", says: "The audit log is not exported: the deployment has no bucket for it." };
  const { tables } = exported;
  if (tables.some(({ error }) => error !== null)) {
    return {
      tone: "act",
      says: "The last run was stopped. It is tried again every five minutes, at the same row.",
      todo: "Read below what stopped it. Rows that are missing are an incident; for all else, look at R2 and D1.",
      runbook: "R2 is down",
    };
  }
  const oldest = tables.flatMap(({ oldestWaiting }) => (oldestWaiting === null ? [] : [Date.parse(oldestWaiting)]));
  const waiting = tables.reduce((sum, table) => sum + table.waiting, 0);
  if (oldest.some((at) => now - at > EXPORTED_WITHIN_MS)) {
    return {
      tone: "look",
      says: `${countWaiting(waiting, "row")}, the oldest for more than an hour.`,
      todo: "Look for export_failed in the edge's log. After an outage it catches up by itself.",
      runbook: "R2 is down",
    };
  }
  return {
    tone: "good",
    says: waiting === 0 ? "All rows are exported." : `${countWaiting(waiting, "row")} for the next run.`,
  };
}

function ofWebhooks(webhooks: Webhooks | undefined): Found {
  if (webhooks === undefined) return DIRECTORY_AWAY;
  const { faults, destinations } = webhooks;
  if (faults.length > 0) {
    return {
      tone: "act",
      says: "Nobody is told of anything: the secret SALLYPORT_WEBHOOKS has faults.",
      todo: "Correct what is named below, and set the secret again: docs/NOTIFICATIONS.md.",
    };
  }
  if (destinations.length === 0) {
    return { tone: "off", says: "Nobody is told of locks, drains and requests for access: docs/NOTIFICATIONS.md." };
  }
  const named = (some: Webhooks["destinations"]) => some.map(({ name }) => name).join(", ");
  const gone = destinations.filter(({ isGone }) => isGone);
  if (gone.length > 0) {
    const says = `These destinations answered that they no longer exist, so nothing is sent to them: ${named(gone)}.`;
    return { tone: "act", says, todo: "Set the secret SALLYPORT_WEBHOOKS again with an address that is there." };
  }
  const failing = destinations.filter(({ failures, dropped }) => failures > 0 || dropped > 0);
  if (failing.length > 0) {
    const says = `These destinations reject notifications, or missed some: ${named(failing)}.`;
    return { tone: "look", says, todo: "Look at the receiver. What is older than a day is dropped." };
  }
  return { tone: "good", says: `Told of events: ${named(destinations)}.` };
}

/** How many wait, such as `1 row waits` and `2 rows wait`. */
export function countWaiting(count: number, what: "row" | "notification"): string {
  return count === 1 ? `1 ${what} waits` : `${count} ${what}s wait`;
}

/** How many sessions are open, as far as the API counts them. */
export function countSessions(sessions: number): string {
  if (sessions >= MAX_COUNTED_SESSIONS) return `at least ${MAX_COUNTED_SESSIONS} sessions`;
  return sessions === 1 ? "1 session" : `${sessions} sessions`;
}

type Drain = NonNullable<SystemHealth["drain"]>;

const DRAIN_MS = 60 * 60 * 1_000;

/** What the fields of the dialog begin with: what holds, so that a change of one keeps the other. */
export function drainFields(drain: Drain, now: number): { readonly until: string; readonly reason: string } {
  const until = drain.until ?? new Date(now + DRAIN_MS).toISOString();
  return { until: toLocalInput(until), reason: drain.reason ?? "" };
}

/**
 * The body of the command that begins or changes a drain. An end that nobody changed stays as it is, to the second:
 * a field has minutes.
 *
 * @param typed the dialog's form, which requires `until`
 */
export function drainBody(typed: FormData, drain: Drain): { readonly until: string; readonly reason?: string } {
  const until = textOf(typed, "until");
  const present = drain.until;
  const end = present !== null && until === toLocalInput(present) ? present : new Date(until).toISOString();
  return { until: end, ...reasonOf(typed) };
}
