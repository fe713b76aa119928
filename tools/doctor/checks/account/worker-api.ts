/** Workers as Cloudflare's API v4 shows them. */
import * as z from "zod";
import type { Cloudflare } from "../../../ports/cloudflare.ts";

const settings = z.object({
  bindings: z.array(
    z.looseObject({
      type: z.string(),
      name: z.string(),
      json: z.unknown().optional(),
      text: z.string().optional(),
      id: z.string().optional(),
      database_id: z.string().optional(),
      bucket_name: z.string().optional(),
      service_id: z.string().optional(),
      class_name: z.string().optional(),
      script_name: z.string().optional(),
    }),
  ),
  logpush: z.boolean().nullish(),
  tail_consumers: z.array(z.object({ service: z.string() })).nullish(),
  observability: z
    .object({
      enabled: z.boolean().nullish(),
      redact_query_string: z.boolean().nullish(),
      logs: z.object({ enabled: z.boolean().nullish(), invocation_logs: z.boolean().nullish() }).nullish(),
      traces: z.object({ enabled: z.boolean().nullish() }).nullish(),
    })
    .nullish(),
});
export type WorkerSettings = z.output<typeof settings>;
export type Binding = z.output<typeof settings>["bindings"][number];

/** @throws CloudflareError, of status 404 where there is no such Worker */
export function readWorkerSettings(api: Cloudflare, worker: string): Promise<WorkerSettings> {
  return api.get(`workers/scripts/${worker}/settings`, settings);
}

/** @throws CloudflareError, of status 404 where there is no such Worker */
export async function readBindings(api: Cloudflare, worker: string): Promise<readonly Binding[]> {
  return (await readWorkerSettings(api, worker)).bindings;
}

const subdomain = z.object({ enabled: z.boolean(), previews_enabled: z.boolean() });

/** Whether the Worker answers under workers.dev, and its versions under preview URLs. */
export function readSubdomain(api: Cloudflare, worker: string): Promise<z.output<typeof subdomain>> {
  return api.get(`workers/scripts/${worker}/subdomain`, subdomain);
}

const domains = z.array(z.object({ hostname: z.string(), service: z.string(), zone_id: z.string() }));

/** All custom domains of the account, of any Worker. */
export function readCustomDomains(api: Cloudflare): Promise<z.output<typeof domains>> {
  return api.get("workers/domains", domains);
}

const routes = z.array(z.object({ pattern: z.string(), script: z.string().nullish() }));

/** The routes of a zone, of any Worker. */
export function readRoutes(api: Cloudflare, zone: string): Promise<z.output<typeof routes>> {
  return api.getOfZone(zone, "workers/routes", routes);
}

const deployments = z.object({
  deployments: z.array(
    z.object({ versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })).min(1) }),
  ),
});
const version = z.object({
  id: z.string(),
  number: z.number().optional(),
  annotations: z.object({ "workers/tag": z.string().optional() }).nullish(),
});
export type Version = z.output<typeof version>;

/**
 * The versions that serve requests: one, or two during a gradual deployment. None of a Worker never deployed.
 */
export async function readActiveVersions(api: Cloudflare, worker: string): Promise<readonly Version[]> {
  const path = `workers/scripts/${worker}`;
  // The latest deployment comes first.
  const [active] = (await api.get(`${path}/deployments`, deployments)).deployments;
  return Promise.all(
    (active?.versions ?? []).map(({ version_id }) => api.get(`${path}/versions/${version_id}`, version)),
  );
}
