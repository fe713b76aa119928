/**
 * Whether Cloudflare keeps what people type: an exec's command is in its URL, and the session plan in a
 * header.
 */
import type { Plan } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { accountCheck, unlessNotFound } from "./account-check.ts";
import { readWorkerSettings, type WorkerSettings } from "./worker-api.ts";

/** Neither Worker's logs nor traces keep the URLs or headers of requests. */
export function workerLogsCheck({ workers }: Plan, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: "worker-logs",
    api,
    run: async (cloudflare) => {
      const kept: string[] = [];
      const sent: string[] = [];
      for (const worker of Object.values(workers)) {
        // Whether the objects' Worker exists is a check of its own.
        const settings = await unlessNotFound(readWorkerSettings(cloudflare, worker));
        if (settings === undefined) continue;
        kept.push(...keptBy(settings).map((what) => `${what} of ${worker}`));
        sent.push(...receiversOf(settings).map((receiver) => `${worker} to ${receiver}`));
      }
      if (kept.length > 0) {
        return failure(
          `Cloudflare keeps commands and headers of requests: ${kept.join(", ")}`,
          "npx sallyport deploy turns that off; find out who turned it on",
        );
      }
      if (sent.length > 0) {
        return warning(
          `every request's URL and headers are sent along: ${sent.join(", ")}`,
          "commands are in URLs: keep the receiver as closed as the audit log, and leave out `Event` (docs/MONITORING.md)",
        );
      }
      return passed("Workers Logs keep no URLs and no headers of requests");
    },
  });
}

/** What is on that keeps requests. Cloudflare's defaults: invocation logs on, traces off, no redaction. */
function keptBy({ observability }: WorkerSettings): string[] {
  if (!observability?.enabled) return [];
  const { logs, traces, redact_query_string: redacts } = observability;
  return [
    ...(logs?.enabled !== false && logs?.invocation_logs !== false ? ["invocation logs"] : []),
    ...(traces?.enabled && !redacts ? ["traces"] : []),
  ];
}

function receiversOf({ logpush, tail_consumers }: WorkerSettings): string[] {
  return [...(logpush ? ["Logpush"] : []), ...(tail_consumers ?? []).map(({ service }) => `the Worker ${service}`)];
}
