/**
 * The answers of docs/API.md, as far as they are used. Pure.
 *
 * A server may answer with any JSON. Each reader returns undefined for what is not as documented.
 */
import { isJsonObject } from "../common/json.ts";
import type { Session } from "./sessions.ts";

export interface SessionList {
  readonly items: readonly Session[];
  readonly next?: string | null;
}

/** What is used of docs/API.md, Whoami. */
export interface Whoami {
  readonly identity: string;
  readonly kind: string;
  readonly cluster: string | null;
  readonly rule: string;
  readonly kubernetes: { readonly user: string; readonly groups: readonly string[] };
  readonly roles: readonly string[];
}

/** What is used of docs/API.md, StatedReason. */
export interface StatedReason {
  readonly until: string;
  readonly notReached?: readonly string[];
}

/** Reads OwnSessions and SessionPage. Fields that are not used stay as they came. */
export function parseSessionList(value: unknown): SessionList | undefined {
  if (!isJsonObject(value)) return undefined;
  const { items, next } = value;
  if (!Array.isArray(items) || !items.every(isSession) || !isTextOrNull(next ?? null)) return undefined;
  return { items, ...(typeof next === "string" && { next }) };
}

/** Reads EndedSessions. @returns the ids */
export function parseEnded(value: unknown): readonly string[] | undefined {
  return isJsonObject(value) && isTexts(value["ended"]) ? value["ended"] : undefined;
}

export function parseWhoami(value: unknown): Whoami | undefined {
  if (!isJsonObject(value) || !isJsonObject(value["kubernetes"])) return undefined;
  const { identity, kind, cluster, rule, roles } = value;
  const { user, groups } = value["kubernetes"];
  const isComplete =
    isText(identity) && isText(kind) && isTextOrNull(cluster) && isText(rule) && isTexts(roles) && isText(user);
  return isComplete && isTexts(groups)
    ? { identity, kind, cluster, rule, roles, kubernetes: { user, groups } }
    : undefined;
}

export function parseStatedReason(value: unknown): StatedReason | undefined {
  if (!isJsonObject(value)) return undefined;
  const { until, notReached = [] } = value;
  return isText(until) && isTexts(notReached) ? { until, notReached } : undefined;
}

function isSession(value: unknown): value is Session {
  if (!isJsonObject(value)) return false;
  const { command, lastUsedAt = null, outcome = null, waitsFor = null } = value;
  return (
    ["id", "state", "user", "cluster", "kind", "namespace", "pod", "startedAt"].every((name) => isText(value[name])) &&
    isTexts(command) &&
    isTextOrNull(lastUsedAt) &&
    isTextOrNull(outcome) &&
    isTextOrNull(waitsFor)
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText);
}
