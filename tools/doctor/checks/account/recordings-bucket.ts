/**
 * The bucket of recordings and seals: nobody deletes one too early, and unfinished uploads are kept long
 * enough.
 */
import * as z from "zod";
import { SEALS_PREFIX } from "../../../../audit/seal/keys.ts";
import { RECORDINGS_PREFIX } from "../../../../contract/recording.ts";
import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { accountCheck } from "./account-check.ts";

const PERMISSION = "Workers R2 Storage Read";
const DAY_SECONDS = 86_400;

const lock = z.object({
  rules: z
    .array(
      z.object({
        enabled: z.boolean(),
        prefix: z.string().default(""),
        condition: z.union([
          z.object({ type: z.literal("Age"), maxAgeSeconds: z.number() }),
          z.object({ type: z.literal("Date"), date: z.string() }),
          z.object({ type: z.literal("Indefinite") }),
        ]),
      }),
    )
    .default([]),
});
type LockCondition = z.output<typeof lock>["rules"][number]["condition"];

/** A bucket lock keeps recordings for as long as the deployment file says, from Sallyport as well. */
export function recordingsLockCheck({ recordings }: Plan, api: Cloudflare | undefined): Check {
  const { bucket, retentionDays: days } = recordings;
  return lockCheck("r2-lock", { what: "recordings", prefix: RECORDINGS_PREFIX, bucket, days }, api);
}

/** The same for sealed ranges of the audit log: what has left D1 is nowhere else. */
export function sealsLockCheck({ recordings }: Plan, api: Cloudflare | undefined): Check {
  const { bucket, sealRetentionDays: days } = recordings;
  return lockCheck("r2-seals-lock", { what: "seals", prefix: SEALS_PREFIX, bucket, days }, api);
}

interface Locked {
  readonly what: string;
  readonly prefix: string;
  readonly bucket: string;
  readonly days: number;
}

function lockCheck(
  id: string,
  { what, prefix: locked, bucket, days: wanted }: Locked,
  api: Cloudflare | undefined,
): Check {
  return accountCheck({
    id,
    api,
    permission: PERMISSION,
    run: async (cloudflare) => {
      const { rules } = await cloudflare.get(`r2/buckets/${bucket}/lock`, lock);
      const covering = rules.filter(({ enabled, prefix }) => enabled && locked.startsWith(prefix));
      const apply = "apply the edge stack, which sets the lock";
      if (covering.length === 0) return failure(`no lock covers ${locked}`, apply);
      const days = Math.max(...covering.map(({ condition }) => lockedDays(condition)));
      if (days < wanted) return failure(`${what} are locked for ${days} days, not ${wanted}`, apply);
      return passed(`${what} are locked ${days === Number.POSITIVE_INFINITY ? "indefinitely" : `for ${days} days`}`);
    },
  });
}

function lockedDays(condition: LockCondition): number {
  if (condition.type === "Indefinite") return Number.POSITIVE_INFINITY;
  // A fixed date protects nothing that is recorded after it.
  return condition.type === "Age" ? condition.maxAgeSeconds / DAY_SECONDS : 0;
}

const lifecycle = z.object({
  rules: z
    .array(
      z.object({
        enabled: z.boolean(),
        conditions: z.object({ prefix: z.string().default("") }).prefault({}),
        abortMultipartUploadsTransition: z.object({ condition: z.object({ maxAge: z.number() }).optional() }).nullish(),
      }),
    )
    .default([]),
});

/** A session lasts a day at most. The rest is for an outage of R2. */
const MIN_UPLOAD_DAYS = 7;

/** Recordings are uploaded in parts during a session; no lifecycle rule aborts such an upload too early. */
export function multipartCheck({ recordings }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "r2-multipart",
    api,
    permission: PERMISSION,
    run: async (cloudflare) => {
      const { rules } = await cloudflare.get(`r2/buckets/${recordings.bucket}/lifecycle`, lifecycle);
      const days = rules
        .filter(({ enabled, conditions: { prefix } }) => enabled && overlaps(prefix, RECORDINGS_PREFIX))
        .flatMap(({ abortMultipartUploadsTransition: abort }) => abort?.condition?.maxAge ?? [])
        .map((seconds) => seconds / DAY_SECONDS);
      const least = Math.min(...days);
      if (least < MIN_UPLOAD_DAYS) {
        return failure(
          `unfinished uploads are aborted after ${least} days`,
          `set that lifecycle rule to ${MIN_UPLOAD_DAYS} days or more: a recording that waits for R2 is lost with it`,
        );
      }
      if (days.length === 0) {
        return warning(
          "unfinished uploads are never aborted",
          `add a lifecycle rule of ${MIN_UPLOAD_DAYS} days: their parts cost money`,
        );
      }
      return passed(`unfinished uploads are aborted after ${least} days`);
    },
  });
}

const overlaps = (one: string, other: string) => one.startsWith(other) || other.startsWith(one);
