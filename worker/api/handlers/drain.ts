import type * as z from "zod";
import { err, ok } from "../../../common/result.ts";
import { type Drain, MAX_DRAIN_MS } from "../../../contract/drain.ts";
import { denial } from "../../denials.ts";
import { askDirectory } from "../../sessions/directory.ts";
import { readReason } from "../schemas/command.ts";
import type { drain as drainAnswer } from "../schemas/drain.ts";
import type { Handler } from "./handler.ts";

/** Long enough for an upgrade, short enough to be forgotten. */
const DEFAULT_DRAIN_MS = 60 * 60 * 1_000;

export const getDrain: Handler<"getDrain"> = async (_, { env }) => {
  const read = await askDirectory(env.DIRECTORY, "readDrain", {});
  return read.ok ? ok(drainJson(read.value)) : read;
};

export const beginDrain: Handler<"beginDrain"> = async ({ query, body }, { identity, env }) => {
  const now = Date.now();
  const until = body.until ?? query.until ?? now + DEFAULT_DRAIN_MS;
  if (until <= now) return err(denial("bad_request", "until is over: give a time in the future"));
  if (until > now + MAX_DRAIN_MS) {
    return err(denial("bad_request", "until is more than 24 hours away: give an earlier time, and extend it then"));
  }
  const command = { by: identity.name, reason: readReason(query, body), until };
  const begun = await askDirectory(env.DIRECTORY, "beginDrain", command);
  return begun.ok ? ok(drainJson(begun.value)) : begun;
};

export const endDrain: Handler<"endDrain"> = async ({ query, body }, { identity, env }) => {
  const command = { by: identity.name, reason: readReason(query, body) };
  const ended = await askDirectory(env.DIRECTORY, "endDrain", command);
  return ended.ok ? ok({ draining: false, wasDraining: ended.value }) : ended;
};

function drainJson(drain: Drain | null): z.output<typeof drainAnswer> {
  if (!drain) return { draining: false, by: null, reason: null, since: null, until: null };
  const { by, reason, since, until } = drain;
  return { draining: true, by, reason, since: toTime(since), until: toTime(until) };
}

function toTime(at: number): string {
  return new Date(at).toISOString();
}
