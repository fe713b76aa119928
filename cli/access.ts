/** Requests for access as the API lists them, and how a person names one. Pure. */
import { isJsonObject } from "../common/json.ts";
import { err, ok, type Result } from "../common/result.ts";
import { maskControlCharacters } from "../common/text.ts";
import { ageOf, columnsOf, shorten } from "./table.ts";

/** What is shown of docs/API.md, AccessRequest. */
export interface AccessRequest {
  readonly id: string;
  readonly state: string;
  readonly grant: string;
  readonly user: string;
  readonly minutes: number;
  readonly reason: string | null;
  readonly purpose: string | null;
  readonly requestedAt: string;
  readonly until: string | null;
  readonly approvers: string;
  readonly address: string;
  readonly notReached?: readonly string[];
}

/** What is shown of docs/API.md, AvailableGrant. */
export interface AvailableGrant {
  readonly name: string;
  readonly groups: readonly string[];
  readonly rules: readonly string[];
  readonly maxMinutes: number;
  readonly count: number;
  readonly approvers: string;
}

/** What is shown of docs/API.md, AccessDecision. */
export interface Decision {
  readonly id: string;
  readonly grant: string;
  readonly user: string;
  readonly by: string;
  readonly at: string;
  readonly decision: string;
  readonly reason: string | null;
}

export interface OwnAccess {
  readonly grants: readonly AvailableGrant[];
  readonly items: readonly AccessRequest[];
}

export interface Approvals {
  readonly pending: readonly AccessRequest[];
  readonly decided: readonly Decision[];
}

/** As a session's: the time and 18 random bits. */
const SHORT_ID_CHARS = 11;
const MAX_TEXT_CHARS = 50;

/** Reads OwnAccess. @returns undefined for what is not as documented */
export function parseOwnAccess(value: unknown): OwnAccess | undefined {
  if (!isJsonObject(value)) return undefined;
  const { grants, items } = value;
  return Array.isArray(grants) && grants.every(isGrant) && isRequests(items) ? { grants, items } : undefined;
}

/** Reads AccessRequest, AskedAccess, DecidedAccess and EndedAccess. */
export function parseAccessRequest(value: unknown): AccessRequest | undefined {
  return isRequest(value) ? value : undefined;
}

/** Reads Approvals. */
export function parseApprovals(value: unknown): Approvals | undefined {
  if (!isJsonObject(value)) return undefined;
  const { pending, decided } = value;
  return isRequests(pending) && Array.isArray(decided) && decided.every(isDecision) ? { pending, decided } : undefined;
}

/** What somebody may ask for. */
export function grantTable(grants: readonly AvailableGrant[]): string {
  const rows = grants.map(({ name, groups, rules, maxMinutes, count, approvers }) => [
    ...[name, [...groups, ...rules].join(", "), `${maxMinutes}m`],
    count === 1 ? approvers : `${count} of ${approvers}`,
  ]);
  return columnsOf([["GRANT", "GIVES", "AT MOST", "APPROVED BY"], ...rows]).join("\n");
}

/** Requests, in the order in which they come. @param isOfOthers with the columns of an approver */
export function accessTable(requests: readonly AccessRequest[], nowMs: number, isOfOthers: boolean): string {
  const rows = requests.map((one) => [
    one.id.slice(0, SHORT_ID_CHARS),
    ...(isOfOthers ? [one.user] : []),
    ...[one.grant, one.state, `${one.minutes}m`, ageOf(Date.parse(one.requestedAt), nowMs)],
    ...(isOfOthers ? [] : [one.until ?? "-"]),
    shorten([one.reason, one.purpose].filter((text) => text !== null).join("; ") || "-", MAX_TEXT_CHARS),
  ]);
  const head = [
    ...["ID", ...(isOfOthers ? ["USER"] : []), "GRANT", "STATE", "FOR", "AGE"],
    ...[...(isOfOthers ? [] : ["UNTIL"]), "REASON"],
  ];
  return columnsOf([head, ...rows]).join("\n");
}

/** What was decided, newest first as it comes. */
export function decisionTable(decisions: readonly Decision[], nowMs: number): string {
  const rows = decisions.map(({ id, user, grant, decision, by, at, reason }) => [
    ...[id.slice(0, SHORT_ID_CHARS), user, grant, decision, by, ageOf(Date.parse(at), nowMs)],
    shorten(reason ?? "-", MAX_TEXT_CHARS),
  ]);
  return columnsOf([["ID", "USER", "GRANT", "DECISION", "BY", "AGE", "REASON"], ...rows]).join("\n");
}

/** One request in a sentence: what it is now, and what is to be done. */
export function describeRequest({ grant, state, user, until, approvers, address }: AccessRequest): string {
  const text = () => {
    switch (state) {
      case "pending":
        return `${grant} for ${user} waits for an approval by ${approvers}: ${address}`;
      case "active":
        return `${grant} holds for ${user} until ${until ?? "its end"}.`;
      default:
        return `${grant} for ${user} is ${state}.`;
    }
  };
  return maskControlCharacters(text());
}

/** Finds the request that an abbreviated id names. */
export function findRequest(prefix: string, requests: readonly { readonly id: string }[]): Result<string, string> {
  const found = [...new Set(requests.map(({ id }) => id))].filter((id) => prefix !== "" && id.startsWith(prefix));
  const [id, ...more] = found;
  if (id === undefined) return err(`no request has an id that begins with ${JSON.stringify(prefix)}`);
  if (more.length === 0) return ok(id);
  return err(`${found.length} requests have an id that begins with ${JSON.stringify(prefix)}: give more of it`);
}

function isRequests(value: unknown): value is readonly AccessRequest[] {
  return Array.isArray(value) && value.every(isRequest);
}

function isRequest(value: unknown): value is AccessRequest {
  if (!isJsonObject(value)) return false;
  const texts = ["id", "state", "grant", "user", "requestedAt", "approvers", "address"];
  return (
    hasTexts(value, texts) &&
    typeof value["minutes"] === "number" &&
    ["reason", "purpose", "until"].every((name) => value[name] === null || typeof value[name] === "string") &&
    isTexts(value["notReached"] ?? [])
  );
}

function isGrant(value: unknown): value is AvailableGrant {
  if (!isJsonObject(value)) return false;
  const { groups, rules, maxMinutes, count } = value;
  const hasNumbers = typeof maxMinutes === "number" && typeof count === "number";
  return hasTexts(value, ["name", "approvers"]) && isTexts(groups) && isTexts(rules) && hasNumbers;
}

function isDecision(value: unknown): value is Decision {
  if (!isJsonObject(value)) return false;
  const { reason } = value;
  const texts = ["id", "grant", "user", "by", "at", "decision"];
  return hasTexts(value, texts) && (reason === null || typeof reason === "string");
}

function hasTexts(value: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  return names.every((name) => typeof value[name] === "string");
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
