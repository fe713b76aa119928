/** The size of the audit database: it takes 10 GB and no more. */
import * as z from "zod";
import { DATABASE_ALARM_BYTES, MAX_DATABASE_BYTES } from "../../../../audit/seal/database-size.ts";
import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { accountCheck } from "./account-check.ts";

const database = z.object({ file_size: z.number() });

/** D1 is not nearly full. At 10 GB no event is written, and no session opens. */
export function databaseSizeCheck({ database: { id }, document }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "d1-size",
    api,
    permission: "D1 Read",
    run: async (cloudflare) => {
      const { file_size: bytes } = await cloudflare.get(`d1/database/${id}`, database);
      const size = `D1 has ${(bytes / 1e9).toFixed(2)} of 10 GB`;
      if (bytes < DATABASE_ALARM_BYTES) return passed(size);
      const { keepMonths } = document.audit?.seal ?? {};
      const advice = keepMonths
        ? `rows leave it after ${keepMonths} months: set a smaller audit.seal.keepMonths (docs/RUNBOOK.md)`
        : "no row leaves it: set audit.seal.keepMonths (docs/RUNBOOK.md)";
      return bytes < MAX_DATABASE_BYTES * 0.8 ? warning(size, advice) : failure(size, advice);
    },
  });
}
