/** What Cloudflare's API says of the Worker, its domains, tunnels and buckets. Shapes: Cloudflare's API v4. */
import * as z from "zod";
import { joinConfigVariables, splitIntoVariables } from "../../../worker/config/variables.ts";
import type { Plan, PlannedCluster } from "../../deployment/plan.ts";
import { type Cloudflare, CloudflareError } from "../../ports/cloudflare.ts";
import { type Check, type Finding, fail, ok, skipped, warn } from "../check.ts";
import { isAtLeast, parseVersion } from "../version.ts";

const NO_API = "no CLOUDFLARE_API_TOKEN: set one that may read (docs/UPGRADES.md lists its permissions)";

/**
 * A check that needs the API.
 *
 * @param permission that a token may well lack; a check without one is for tokens that can do anything here at all
 */
function account(
  id: string,
  api: Cloudflare | undefined,
  run: (api: Cloudflare) => Promise<Finding>,
  permission?: string,
): Check {
  return {
    id,
    run: async () => {
      if (!api) return skipped(NO_API);
      try {
        return await run(api);
      } catch (error) {
        const isForbidden = error instanceof CloudflareError && (error.status === 401 || error.status === 403);
        if (!isForbidden || permission === undefined) throw error;
        return skipped(`the API token may not read this: give it ${permission}`);
      }
    },
  };
}

const subdomain = z.object({ enabled: z.boolean(), previews_enabled: z.boolean() });

/** Both are ways past Access. */
export function workersDevCheck({ name }: Plan, api: Cloudflare | undefined): Check {
  return account("workers-dev", api, async (cloudflare) => {
    const { enabled, previews_enabled } = await cloudflare.get(`workers/scripts/${name}/subdomain`, subdomain);
    const open = [...(enabled ? ["workers.dev"] : []), ...(previews_enabled ? ["preview URLs"] : [])];
    if (open.length === 0) return ok("workers.dev and preview URLs are off");
    return fail(`open past Access: ${open.join(" and ")}`, "npm run deploy turns them off; see who turned them on");
  });
}

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
    }),
  ),
});
type Binding = z.output<typeof settings>["bindings"][number];

/** What runs is what the deployment file says. */
export function workerConfigCheck(plan: Plan, api: Cloudflare | undefined): Check {
  return account("worker-config", api, async (cloudflare) => {
    const { bindings } = await cloudflare.get(`workers/scripts/${plan.name}/settings`, settings);
    const differing = [...differingFields(plan, bindings), ...differingBindings(plan, bindings)];
    if (differing.length === 0) return ok("the Worker runs with the configuration that this checkout derives");
    return fail(
      `deployed and derived differ in ${differing.join(", ")}`,
      "npm run deploy; if nobody changed the deployment file, see who changed the Worker",
    );
  });
}

/** Names of the document's parts only: values may be nobody's business. */
function differingFields({ document }: Plan, bindings: readonly Binding[]): string[] {
  const variables = Object.fromEntries(bindings.map(({ name, json, text }) => [name, json ?? text]));
  const deployed = asObject(joinConfigVariables(variables));
  if (!deployed) return ["SALLYPORT_CONFIG"];
  const derived = asObject(joinConfigVariables(splitIntoVariables(document))) ?? {};
  const names = [...new Set([...Object.keys(deployed), ...Object.keys(derived)])];
  return names.filter((name) => canonical(deployed[name]) !== canonical(derived[name]));
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  let read = value;
  try {
    if (typeof value === "string") read = JSON.parse(value);
  } catch {
    return undefined;
  }
  return typeof read === "object" && read !== null ? (read as Record<string, unknown>) : undefined;
}

/** JSON with keys in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)))
      : each,
  );
}

function differingBindings({ database, recordings, clusters }: Plan, bindings: readonly Binding[]): string[] {
  const has = (type: string, value: (binding: Binding) => string | undefined, wanted: string, name?: string) =>
    bindings.some((one) => one.type === type && value(one) === wanted && (name === undefined || one.name === name));
  return [
    ...(has("d1", ({ id, database_id }) => id ?? database_id, database.id) ? [] : ["the D1 binding"]),
    ...(has("r2_bucket", ({ bucket_name }) => bucket_name, recordings.bucket) ? [] : ["the R2 binding"]),
    ...clusters
      .filter(({ binding, vpcServiceId }) => !has("vpc_service", ({ service_id }) => service_id, vpcServiceId, binding))
      .map(({ binding }) => `the binding ${binding}`),
  ];
}

const domains = z.array(z.object({ hostname: z.string(), service: z.string(), cert_id: z.string().optional() }));

/** The host name leads to this Worker. */
export function customDomainCheck({ name }: Plan, hostname: string, api: Cloudflare | undefined): Check {
  return account(`custom-domain:${hostname}`, api, async (cloudflare) => {
    const found = (await cloudflare.get("workers/domains", domains)).find((domain) => domain.hostname === hostname);
    if (found?.service === name) return ok("it leads to the Worker");
    return found
      ? fail(`it leads to another Worker, ${found.service}`, "take it from that Worker, then npm run deploy")
      : fail("it is no custom domain of any Worker", "npm run deploy makes it one; the zone must be in this account");
  });
}

const tunnelSchema = z.object({ status: z.string(), deleted_at: z.string().nullish() });
const connectorsSchema = z.array(
  z.object({ id: z.string(), version: z.string().optional(), conns: z.array(z.unknown()).default([]) }),
);

const connectorsOf = async (cloudflare: Cloudflare, tunnelId: string) =>
  (await cloudflare.get(`cfd_tunnel/${tunnelId}/connections`, connectorsSchema)).filter(
    ({ conns }) => conns.length > 0,
  );

/** As many connectors as there should be replicas. */
export function tunnelCheck({ name, tunnelId, connector }: PlannedCluster, api: Cloudflare | undefined): Check {
  return account(
    `tunnel:${name}`,
    api,
    async (cloudflare) => {
      const { status, deleted_at } = await cloudflare.get(`cfd_tunnel/${tunnelId}`, tunnelSchema);
      const look = `see "kubectl -n ${connector.namespace} logs deployment/${connector.deployment}"`;
      if (deleted_at) return fail("the tunnel is deleted", "terraform apply the edge stack, then the cluster's");
      const connectors = await connectorsOf(cloudflare, tunnelId);
      const count = `${connectors.length} of ${connector.replicas} connectors`;
      if (status === "down" || status === "inactive" || connectors.length === 0) {
        return fail(`the tunnel is ${status}, ${count}`, `${look}; QUIC needs UDP to port 7844 outward`);
      }
      if (connectors.length < connector.replicas) return fail(`the tunnel has only ${count}`, look);
      if (status !== "healthy") return warn(`the tunnel is ${status}, ${count}`, look);
      return ok(`healthy, ${count}`);
    },
    "Cloudflare Tunnel Read",
  );
}

/** Before it, WebSockets do not pass Workers VPC. */
const LEAST_CLOUDFLARED = "2026.8.2";
/** Cloudflare supports a release for a year. */
const MAX_AGE_MONTHS = 12;

export function cloudflaredVersionCheck(
  { name, tunnelId }: PlannedCluster,
  api: Cloudflare | undefined,
  { now }: { readonly now: () => number },
): Check {
  return account(
    `cloudflared-version:${name}`,
    api,
    async (cloudflare) => {
      const versions = [
        ...new Set((await connectorsOf(cloudflare, tunnelId)).map(({ version = "unknown" }) => version)),
      ];
      if (versions.length === 0) return skipped("no connector is there to ask");
      const update = "raise the cloudflared version in the deployment file, npm run synth, apply the cluster's stack";
      const old = versions.filter((version) => !isAtLeast(version, LEAST_CLOUDFLARED));
      if (old.length > 0) return fail(`cloudflared ${old.join(", ")}: older than ${LEAST_CLOUDFLARED}`, update);
      const aged = versions.filter((version) => monthsSince(version, now()) > MAX_AGE_MONTHS);
      if (aged.length > 0) return warn(`cloudflared ${aged.join(", ")}: more than a year old, out of support`, update);
      return ok(`cloudflared ${versions.join(", ")}`);
    },
    "Cloudflare Tunnel Read",
  );
}

/** Its versions are year and month. */
function monthsSince(version: string, now: number): number {
  const [year, month] = parseVersion(version) ?? [0, 0, 0];
  const today = new Date(now);
  return (today.getUTCFullYear() - year) * 12 + today.getUTCMonth() + 1 - month;
}

const vpcService = z.object({
  type: z.string(),
  http_port: z.number().nullish(),
  host: z.object({
    network: z.object({ tunnel_id: z.string() }).optional(),
    resolver_network: z.object({ tunnel_id: z.string() }).optional(),
  }),
});

/** The Worker's binding leads into this cluster's tunnel, to the sidecar. */
export function vpcServiceCheck(cluster: PlannedCluster, api: Cloudflare | undefined): Check {
  const { name, vpcServiceId, tunnelId, connector } = cluster;
  return account(
    `vpc-service:${name}`,
    api,
    async (cloudflare) => {
      const service = await cloudflare.get(`connectivity/directory/services/${vpcServiceId}`, vpcService);
      const through = (service.host.network ?? service.host.resolver_network)?.tunnel_id;
      const apply = "terraform apply the edge stack: it puts this right";
      if (through !== tunnelId) return fail("it leads into another tunnel", apply);
      if (service.type !== "http" || service.http_port !== connector.port) {
        return fail(
          `it points to ${service.type} port ${service.http_port ?? "none"}, not http ${connector.port}`,
          apply,
        );
      }
      return ok(`it leads into the cluster's tunnel, port ${connector.port}`);
    },
    "Connectivity Directory Read",
  );
}

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

/** Where durable/recording puts them. */
const RECORDINGS_PREFIX = "recordings/";
const DAY_SECONDS = 86_400;

/** Nobody deletes or overwrites a recording before its time, Sallyport included. */
export function recordingsLockCheck({ recordings }: Plan, api: Cloudflare | undefined): Check {
  return account(
    "r2-lock",
    api,
    async (cloudflare) => {
      const { rules } = await cloudflare.get(`r2/buckets/${recordings.bucket}/lock`, lock);
      const covering = rules.filter(({ enabled, prefix }) => enabled && RECORDINGS_PREFIX.startsWith(prefix));
      const apply = "terraform apply the edge stack: it sets the lock";
      if (covering.length === 0) return fail(`no lock covers ${RECORDINGS_PREFIX}`, apply);
      const days = Math.max(...covering.map(({ condition }) => lockedDays(condition)));
      if (days < recordings.retentionDays) {
        return fail(`recordings are locked for ${days} days, not ${recordings.retentionDays}`, apply);
      }
      return ok(
        days === Number.POSITIVE_INFINITY ? "recordings are locked for good" : `recordings are locked for ${days} days`,
      );
    },
    "Workers R2 Storage Read",
  );
}

function lockedDays(condition: z.output<typeof lock>["rules"][number]["condition"]): number {
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

/** A session lasts a day at most, but R2 may be away for long. */
const LEAST_UPLOAD_DAYS = 7;

/** Recordings go up in parts while a session goes on. */
export function multipartCheck({ recordings }: Plan, api: Cloudflare | undefined): Check {
  return account(
    "r2-multipart",
    api,
    async (cloudflare) => {
      const { rules } = await cloudflare.get(`r2/buckets/${recordings.bucket}/lifecycle`, lifecycle);
      const ages = rules
        .filter(({ enabled, conditions: { prefix } }) => enabled && overlaps(prefix, RECORDINGS_PREFIX))
        .flatMap(({ abortMultipartUploadsTransition: abort }) => abort?.condition?.maxAge ?? [])
        .map((seconds) => seconds / DAY_SECONDS);
      const least = Math.min(...ages);
      if (least < LEAST_UPLOAD_DAYS) {
        return fail(
          `unfinished uploads are given up after ${least} days`,
          `set that lifecycle rule to ${LEAST_UPLOAD_DAYS} days or more: a recording that waits for R2 is lost with it`,
        );
      }
      if (ages.length === 0) {
        return warn(
          "unfinished uploads are never given up",
          `add a lifecycle rule of ${LEAST_UPLOAD_DAYS} days: parts cost money`,
        );
      }
      return ok(`unfinished uploads are given up after ${least} days`);
    },
    "Workers R2 Storage Read",
  );
}

const overlaps = (one: string, other: string) => one.startsWith(other) || other.startsWith(one);
