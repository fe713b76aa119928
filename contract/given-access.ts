/**
 * What grants give by the document in force, and what they have ceased to give. The edge's cron trigger
 * writes it to R2. Whoever has something open that a grant opened reads it there: users' objects, which know
 * no document, and isolates of the edge, which may go on with an earlier one.
 */
import * as z from "zod";
import { MAX_GRANT_MS } from "../audit/access-events.ts";
import { describeError, logEvent } from "../common/log.ts";
import { STORAGE_TIMEOUTS_MS } from "../common/storage-timeouts.ts";
import { withTimeout } from "../common/with-timeout.ts";

/** No recording and no seal, so that no lock of the bucket keeps it as it is. */
export const GIVEN_ACCESS_KEY = "state/given-access.json";

/**
 * What is younger is left to a later run of the cron trigger, ms. For a moment after a deploy, the version
 * before may still be triggered, whose document lacks what is new.
 */
export const SETTLED_AFTER_MS = 2 * 60_000;
const MAX_LOST = 1_000;

const names = z.array(z.string()).readonly();
const milliseconds = z.int().nonnegative();

/** Nothing here is strict: readers of earlier versions go on. */
const givenAccessSchema = z
  .object({
    /** By the name of the grant. */
    grants: z.record(z.string(), z.object({ groups: names, rules: names }).readonly()).readonly(),
    /** When `grants` last changed, ms since the epoch. */
    changedAt: milliseconds,
    /** What they have ceased to give, and when that was noticed. Oldest first. */
    lost: z.array(z.object({ grant: z.string(), groups: names, rules: names, at: milliseconds }).readonly()).readonly(),
  })
  .readonly();
export type GivenAccess = z.output<typeof givenAccessSchema>;

/** A grant as the document has it. */
interface GivingGrant {
  readonly name: string;
  readonly gives: { readonly groups: readonly string[]; readonly rules: readonly string[] };
}

/** As much of R2 as it takes to read it. */
interface ReadableBucket {
  get(key: string): Promise<{ json(): Promise<unknown> } | null>;
}

/** What a session or a stream was opened with. */
export interface OpenedWith {
  /** ms since the epoch */
  readonly at: number;
  /** Names of the grants that made a difference. */
  readonly grants: readonly string[];
  /** The person's groups, those of grants included. */
  readonly groups: readonly string[];
  /** The rule that allowed it. */
  readonly rule: string | null;
}

/**
 * Compares the document in force with what was noted before.
 *
 * A grant that is no longer there has ceased to give everything. Its access is taken back as a whole, unless
 * the grant comes back before that, maybe with less.
 *
 * @param before undefined where nothing was noted yet
 * @param now ms since the epoch
 * @returns what to note; undefined where that is what was noted before, or too young to be judged
 */
export function compareGiven(
  before: GivenAccess | undefined,
  grants: readonly GivingGrant[],
  now: number,
): GivenAccess | undefined {
  const given = Object.fromEntries(grants.map(({ name, gives: { groups, rules } }) => [name, { groups, rules }]));
  if (!before) return { grants: given, changedAt: now, lost: [] };
  if (isSame(before.grants, given) || now < before.changedAt + SETTLED_AFTER_MS) return undefined;
  const lost = Object.entries(before.grants).flatMap(([grant, earlier]) => {
    const gives = Object.hasOwn(given, grant) ? given[grant] : undefined;
    const groups = earlier.groups.filter((group) => !gives?.groups.includes(group));
    const rules = earlier.rules.filter((rule) => !gives?.rules.includes(rule));
    return groups.length + rules.length > 0 ? [{ grant, groups, rules, at: now }] : [];
  });
  // What is older than any grant, nothing was opened with that is still open.
  const young = before.lost.filter(({ at }) => now < at + MAX_GRANT_MS);
  return { grants: given, changedAt: now, lost: [...young, ...lost].slice(-MAX_LOST) };
}

/**
 * Why something may not stay open: a grant that it was opened with has ceased to give a group or a rule that
 * it was opened with, and no other one of them gives it. For a while after a deploy, isolates with the
 * document from before still open with what it gave.
 *
 * @returns undefined where it may
 */
export function whyNoLongerGiven({ grants, lost }: GivenAccess, opened: OpenedWith): string | undefined {
  const given = opened.grants.flatMap((grant) => (Object.hasOwn(grants, grant) ? (grants[grant] ?? []) : []));
  for (const { grant, groups, rules, at } of lost) {
    if (opened.at >= at + SETTLED_AFTER_MS || !opened.grants.includes(grant)) continue;
    const isLostGroup = (one: string) => opened.groups.includes(one) && !given.some((by) => by.groups.includes(one));
    const group = groups.find(isLostGroup);
    if (group !== undefined) return `the access ${JSON.stringify(grant)} no longer gives the group ${group}`;
    const rule = rules.find((one) => one === opened.rule && !given.some((by) => by.rules.includes(one)));
    if (rule !== undefined) return `the access ${JSON.stringify(grant)} is no longer an approval for the rule ${rule}`;
  }
  return undefined;
}

/** @returns undefined where nothing was noted yet. @throws what R2 throws, also where it takes too long */
export async function loadGivenAccess(
  bucket: ReadableBucket,
  withinMs: number = STORAGE_TIMEOUTS_MS.r2State,
): Promise<GivenAccess | undefined> {
  const load = async () => (await bucket.get(GIVEN_ACCESS_KEY))?.json();
  const noted = await withTimeout(load(), withinMs);
  return noted === undefined ? undefined : givenAccessSchema.parse(noted);
}

/** The same for whoever goes on by what they knew before, where it cannot be read. */
export async function tryLoadGivenAccess(bucket: ReadableBucket, withinMs?: number): Promise<GivenAccess | undefined> {
  try {
    return await loadGivenAccess(bucket, withinMs);
  } catch (error) {
    logEvent("warn", "given_access_unreadable", { error: describeError(error) });
    return undefined;
  }
}

function isSame(before: GivenAccess["grants"], given: GivenAccess["grants"]): boolean {
  const names = Object.keys(given);
  const isAsBefore = (name: string) =>
    Object.hasOwn(before, name) && JSON.stringify(before[name]) === JSON.stringify(given[name]);
  return names.length === Object.keys(before).length && names.every(isAsBefore);
}
