import { env } from "cloudflare:workers";
import { logEvent } from "../common/log.ts";
import { clusterBinding } from "../contract/bindings.ts";
import { loadConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { joinConfigVariables } from "./config/variables.ts";
import type { Bindings } from "./env.ts";
import { createHandler } from "./handler.ts";
import { createScheduled } from "./scheduled.ts";

/**
 * Runs at start, not at the first request: Cloudflare rejects a deployment whose configuration is not valid.
 */
function loadDeployment(deployment: Cloudflare.Env): Config {
  const config = loadConfig(joinConfigVariables(deployment), (reserved) =>
    logEvent("warn", "reserved_name", { ...reserved }),
  );
  for (const { binding } of config.clusters) clusterBinding(deployment, binding);
  return config;
}

const config = loadDeployment(env);
const handle = createHandler(config);
const onSchedule = createScheduled(config);

export default {
  fetch: (request, bindings, context) => handle(request, bindings, context),
  scheduled: ({ cron }, bindings) => onSchedule(cron, bindings),
} satisfies ExportedHandler<Bindings>;
