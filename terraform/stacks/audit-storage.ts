/** The audit database, the bucket of recordings, and the bucket of the export. */
import { D1Database } from "@cdktf/provider-cloudflare/lib/d1-database/index.js";
import { R2Bucket } from "@cdktf/provider-cloudflare/lib/r2-bucket/index.js";
import { R2BucketLifecycle } from "@cdktf/provider-cloudflare/lib/r2-bucket-lifecycle/index.js";
import { R2BucketLock } from "@cdktf/provider-cloudflare/lib/r2-bucket-lock/index.js";
import type { Construct } from "constructs";
import { SEALS_PREFIX } from "../../audit/seal/keys.ts";
import { RECORDINGS_PREFIX } from "../../contract/recording.ts";
import { type Deployment, sealRetentionDays } from "../config/schema.ts";

const DAY_SECONDS = 86_400;
/** A session lasts a day at most. The rest is for an outage of R2, through which uploads are retried. */
const UNFINISHED_UPLOAD_DAYS = 7;

export interface AuditStorageResources {
  readonly database: D1Database;
  readonly recordings: R2Bucket;
  /** Undefined where nothing is exported. */
  readonly exports: R2Bucket | undefined;
}

export function auditStorageResources(
  scope: Construct,
  { name, account: accountId, record }: Deployment,
): AuditStorageResources {
  const lifecycle = { preventDestroy: record.protect };
  const database = new D1Database(scope, "audit-database", {
    accountId,
    name: `${name}-audit`,
    primaryLocationHint: record.location,
    // The default, spelled out: without it the provider plans a change for ever.
    readReplication: { mode: "disabled" },
    lifecycle,
  });
  const recordings = new R2Bucket(scope, "recordings-bucket", {
    accountId,
    name: `${name}-recordings`,
    location: record.location,
    lifecycle,
  });
  new R2BucketLock(scope, "recordings-lock", {
    accountId,
    bucketName: recordings.name,
    rules: [
      {
        id: "keep-recordings",
        enabled: true,
        prefix: RECORDINGS_PREFIX,
        condition: { type: "Age", maxAgeSeconds: record.retentionDays * DAY_SECONDS },
      },
      {
        id: "keep-seals",
        enabled: true,
        prefix: SEALS_PREFIX,
        condition: { type: "Age", maxAgeSeconds: sealRetentionDays(record) * DAY_SECONDS },
      },
    ],
    lifecycle,
  });
  new R2BucketLifecycle(scope, "recordings-lifecycle", {
    accountId,
    bucketName: recordings.name,
    rules: [
      {
        id: "abort-unfinished-uploads",
        enabled: true,
        // A new bucket has this rule by default, but setting rules replaces all of them.
        conditions: { prefix: "" },
        abortMultipartUploadsTransition: { condition: { type: "Age", maxAge: UNFINISHED_UPLOAD_DAYS * DAY_SECONDS } },
      },
      ...(record.deleteAfterDays === undefined
        ? []
        : [
            {
              id: "delete-old-recordings",
              enabled: true,
              conditions: { prefix: RECORDINGS_PREFIX },
              deleteObjectsTransition: { condition: { type: "Age", maxAge: record.deleteAfterDays * DAY_SECONDS } },
            },
          ]),
    ],
  });
  const exports = record.export
    ? new R2Bucket(scope, "export-bucket", { accountId, name: `${name}-export`, location: record.location })
    : undefined;
  return { database, recordings, exports };
}
