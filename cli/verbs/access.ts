/** `access` and `request`: one's own access for a while. */
import { flag, numberBetween, parsed, requiredText, text } from "../../command-line/options.ts";
import {
  type AccessRequest,
  accessTable,
  describeRequest,
  grantTable,
  parseAccessRequest,
  parseOwnAccess,
} from "../access.ts";
import { callJson } from "../api.ts";
import { EXIT_CODES, type ExitCode } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import { findTarget, type Target, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

/** A week, the most that a grant gives. */
const MAX_MINUTES = 7 * 24 * 60;
/** An approver takes minutes, and everybody who waits asks this often, ms. */
const ASK_EVERY_MS = 5_000;

export const access = defineVerb({
  name: "access",
  summary: "Shows what you may ask for, for a while, and your requests",
  options: { ...targetOptions, json: flag("print the whole answer as JSON") },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    const own = await callJson(target, { method: "GET", path: "/-/access" }, parseOwnAccess);
    const { print, note, now } = surroundings;
    if (values.json) {
      print(JSON.stringify(own, null, 2));
      return EXIT_CODES.done;
    }
    if (own.grants.length === 0) note("There is nothing that you may ask for.");
    else print(grantTable(own.grants));
    if (own.items.length > 0) print(`\n${accessTable(own.items, now(), false)}`);
    return EXIT_CODES.done;
  },
});

export const request = defineVerb({
  name: "request",
  summary: "Asks for access for a while, which somebody else approves",
  options: {
    ...targetOptions,
    minutes: parsed(
      "MINUTES",
      "for how many minutes; without it 60, or as many as there are",
      numberBetween(1, MAX_MINUTES),
    ),
    reason: text("TEXT", "why you need it; the approvers read it"),
    wait: flag("wait until it is decided, and exit with 1 where it is not approved"),
  },
  positionals: { grant: requiredText("GRANT", 'what to ask for, as "access" shows it') },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    const query = new URLSearchParams({
      grant: values.grant,
      ...(values.minutes !== undefined && { minutes: String(values.minutes) }),
    });
    const call = { method: "POST", path: `/-/access?${query}`, body: { reason: values.reason ?? "" } } as const;
    const asked = await callJson(target, call, parseAccessRequest);
    tell(asked, surroundings);
    return values.wait ? waitForDecision(asked, target, surroundings) : EXIT_CODES.done;
  },
});

/** Says what a request is now, and where that is not known yet. */
export function tell(one: AccessRequest, { print, note }: Pick<Surroundings, "print" | "note">): void {
  print(describeRequest(one));
  if (one.notReached?.length) note(`Not yet at the clusters of ${one.notReached.join(", ")}: it follows.`);
}

async function waitForDecision(asked: AccessRequest, target: Target, surroundings: Surroundings): Promise<ExitCode> {
  let one = asked;
  const call = { method: "GET", path: `/-/approvals/${encodeURIComponent(asked.id)}` } as const;
  while (one.state === "pending") {
    await surroundings.sleep(ASK_EVERY_MS);
    one = await callJson(target, call, parseAccessRequest);
    if (one.state !== "pending") tell(one, surroundings);
  }
  return one.state === "active" ? EXIT_CODES.done : EXIT_CODES.failed;
}
