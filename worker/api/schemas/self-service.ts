/** What everybody may ask Sallyport itself, beside `whoami`. */
import * as z from "zod";
import { notReached, reason, time } from "./shared.ts";

export const health = z
  .strictObject({
    status: z.literal("ok").describe("Always `ok`: a Worker without a valid configuration does not start."),
    version: z.string().exactOptional().describe("Cloudflare's id of the Worker's version, where it is bound."),
  })
  .meta({ id: "Health", description: "The Worker runs with a valid configuration." });

const REASON_ERROR = 'must say the reason, as text or as {"reason": "…"}';

export const reasonBody = {
  schema: z.strictObject({
    reason: reason.refine((text) => text !== "", REASON_ERROR).describe("What the next sessions are for."),
  }),
  example: { reason: "INC-17: checkout is down" },
  plainTextField: "reason",
};

export const statedReason = z
  .strictObject({
    reason: z.string().describe("The reason as it will be in the audit log."),
    until: time.describe("Until when it counts."),
    notReached,
  })
  .meta({ id: "StatedReason", description: "A reason that counts for the caller's next sessions." });

export const kubeconfigQuery = z.object({
  auth: z
    .enum(["plugin", "warp"])
    .exactOptional()
    .describe(
      "How its user signs in. `plugin`: through kubectl-sallyport, as an exec credential plugin. `warp`: by WARP; the file has a user name that means nothing, since kubectl asks for one where there is none. Default: `plugin` with `access.managedOAuth`, otherwise `warp`.",
    ),
});

/** Kubernetes' `ExecConfig`, as far as it is used. https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
const execConfig = z.strictObject({
  apiVersion: z.literal("client.authentication.k8s.io/v1"),
  command: z.string(),
  args: z.array(z.string()),
  installHint: z.string(),
  interactiveMode: z.literal("IfAvailable"),
  provideClusterInfo: z.literal(true),
});

/** Not an answer's schema by itself: the file is YAML, of which JSON is a part. */
export const kubeconfig = z.strictObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("Config"),
  "current-context": z.string(),
  clusters: z.array(z.strictObject({ name: z.string(), cluster: z.strictObject({ server: z.url() }) })),
  users: z.array(
    z.strictObject({
      name: z.string(),
      // One of them: see common/kubeconfig-user.ts.
      user: z.strictObject({ exec: execConfig.exactOptional(), username: z.string().exactOptional() }),
    }),
  ),
  contexts: z.array(
    z.strictObject({ name: z.string(), context: z.strictObject({ cluster: z.string(), user: z.string() }) }),
  ),
});

export const openApi = z
  .record(z.string(), z.unknown())
  .meta({ id: "OpenApi", description: "An OpenAPI 3.1 document: see https://spec.openapis.org/oas/v3.1.1." });
