/** `approvals`, `approve`, `deny` and `revoke`: other people's requests for access. */
import { flag, numberBetween, oneOf, parsed, requiredText, text } from "../../command-line/options.ts";
import {
  accessTable,
  decisionTable,
  findRequest,
  parseAccessRequest,
  parseApprovals,
  parseOwnAccess,
} from "../access.ts";
import { type ApiCall, callJson } from "../api.ts";
import { EXIT_CODES, type ExitCode, PluginFailure } from "../failure.ts";
import { isWholeId } from "../sessions.ts";
import type { Surroundings } from "../surroundings.ts";
import { findTarget, type Target, type TargetValues, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";
import { tell } from "./access.ts";

const MAX_MINUTES = 7 * 24 * 60;
const ID = 'the request\'s id, or its beginning, as "approvals" shows it';

export const approvals = defineVerb({
  name: "approvals",
  summary: "Lists requests for access that you may decide about",
  options: {
    ...targetOptions,
    state: parsed("STATE", "pending, decided or all", oneOf("pending", "decided", "all"), "pending"),
    json: flag("print the whole answer as JSON"),
  },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    const { pending, decided } = await callJson(target, listCall(values.state), parseApprovals);
    const { print, note, now } = surroundings;
    if (values.json) print(JSON.stringify({ pending, decided }, null, 2));
    else if (pending.length + decided.length === 0) note("There are none.");
    else {
      const tables = [
        ...(pending.length > 0 ? [accessTable(pending, now(), true)] : []),
        ...(decided.length > 0 ? [decisionTable(decided, now())] : []),
      ];
      print(tables.join("\n\n"));
    }
    return EXIT_CODES.done;
  },
});

export const approve = defineVerb({
  name: "approve",
  summary: "Approves somebody else's request for access",
  options: {
    ...targetOptions,
    minutes: parsed("MINUTES", "for fewer minutes than were asked for", numberBetween(1, MAX_MINUTES)),
    reason: text("TEXT", "why; whoever asked reads it"),
  },
  positionals: { id: requiredText("ID", ID) },
  run: (values, surroundings) => decide(values, surroundings, { decision: "approve", minutes: values.minutes }),
});

export const deny = defineVerb({
  name: "deny",
  summary: "Denies somebody else's request for access",
  options: { ...targetOptions, reason: text("TEXT", "why; whoever asked reads it") },
  positionals: { id: requiredText("ID", ID) },
  run: (values, surroundings) => decide(values, surroundings, { decision: "deny" }),
});

export const revoke = defineVerb({
  name: "revoke",
  summary: "Takes a grant back before its time, and ends the sessions that were opened with it",
  options: { ...targetOptions, reason: text("TEXT", "why; the sessions' user reads it") },
  positionals: { id: requiredText("ID", 'its id, or its beginning, as "access" and "approvals" show it') },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    const path = `/-/grants/${await wholeId(values.id, () => known(target))}`;
    const body = values.reason === undefined ? {} : { body: { reason: values.reason } };
    tell(await callJson(target, { method: "DELETE", path, ...body }, parseAccessRequest), surroundings);
    return EXIT_CODES.done;
  },
});

type DecideValues = TargetValues & { readonly id: string; readonly reason: string | undefined };

async function decide(
  values: DecideValues,
  surroundings: Surroundings,
  decision: { readonly decision: "approve" | "deny"; readonly minutes?: number | undefined },
): Promise<ExitCode> {
  const target = await findTarget(values, surroundings);
  const pending = async () => (await callJson(target, listCall("pending"), parseApprovals)).pending;
  const path = `/-/approvals/${await wholeId(values.id, pending)}`;
  const body = { ...decision, ...(values.reason !== undefined && { reason: values.reason }) };
  tell(await callJson(target, { method: "POST", path, body }, parseAccessRequest), surroundings);
  return EXIT_CODES.done;
}

function listCall(state: "pending" | "decided" | "all"): ApiCall {
  return { method: "GET", path: `/-/approvals?state=${state}` };
}

type Named = { readonly id: string };

/** @returns what an abbreviated id names; nobody is asked about a whole one */
async function wholeId(id: string, list: () => Promise<readonly Named[]>): Promise<string> {
  if (isWholeId(id)) return id;
  const found = findRequest(id, await list());
  if (!found.ok) throw new PluginFailure("api", found.error);
  return encodeURIComponent(found.value);
}

/** One's own, and what one may decide about or see. */
async function known(target: Target): Promise<readonly Named[]> {
  const own = await callJson(target, { method: "GET", path: "/-/access" }, parseOwnAccess);
  const { pending, decided } = await callJson(target, listCall("all"), parseApprovals);
  return [...own.items, ...pending, ...decided];
}
