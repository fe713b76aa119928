/**
 * Which version of each Worker a deployment runs, according to Cloudflare or to a file that an earlier deploy
 * wrote.
 */
import { readFileSync } from "node:fs";
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";
import type { Plan } from "../deployment/plan.ts";
import { formatVersionTag, parseVersionTag, type VersionTag } from "../deployment/version-tag.ts";
import { type Finished, type Wrangler, wranglerOutput } from "../ports/wrangler.ts";

/** The deployed state of one of the Workers. */
export type Deployed =
  | { readonly state: "version"; readonly tag: VersionTag }
  /** There is no such Worker yet. */
  | { readonly state: "absent" }
  /** It is unknown what runs. The reason completes a sentence. */
  | { readonly state: "unknown"; readonly reason: string };

const statusSchema = z.object({ versions: z.array(z.object({ version_id: z.string() })) });
const versionSchema = z.object({ annotations: z.object({ "workers/tag": z.string().optional() }).optional() });

/** Cloudflare's code for a Worker that does not exist. */
const NO_SUCH_WORKER = /\b10007\b/;

/**
 * Asks Cloudflare for the tag of the version that runs.
 *
 * @param wrangler with the Worker's configuration
 * @throws OperatorError if Cloudflare does not answer
 */
export async function askDeployed(wrangler: Wrangler): Promise<Deployed> {
  const status = await wrangler(["deployments", "status", "--json"]);
  if (status.code !== 0) {
    const output = wranglerOutput(status);
    if (NO_SUCH_WORKER.test(output) || output.includes("has no deployments")) return { state: "absent" };
    throw new OperatorError(
      `Cloudflare did not say which version runs: check the API token's permissions, then deploy again. Nothing was changed.\n${output}`,
    );
  }
  const [version, ...others] = parseAnswer(status, statusSchema).versions;
  if (!version) return { state: "absent" };
  if (others.length > 0) return { state: "unknown", reason: "several versions share its traffic" };
  const view = await wrangler(["versions", "view", version.version_id, "--json"]);
  if (view.code !== 0) {
    throw new OperatorError(
      `Cloudflare did not describe version ${version.version_id}: deploy again. Nothing was changed.\n${wranglerOutput(view)}`,
    );
  }
  const tag = parseVersionTag(parseAnswer(view, versionSchema).annotations?.["workers/tag"]);
  return tag ? { state: "version", tag } : { state: "unknown", reason: "its version was not deployed by this command" };
}

function parseAnswer<T>({ stdout }: Finished, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(stdout.slice(stdout.indexOf("{"))));
  } catch {
    throw new OperatorError(
      "wrangler's answer about the deployed version cannot be read: use the version of wrangler that package.json pins",
    );
  }
}

/**
 * The files to which a deploy and a dry run write what runs afterwards, in the deployment's folder of
 * terraform/out.
 */
export const DEPLOYED_FILE = "deployed.json";
export const DRY_RUN_FILE = "deployed.dry-run.json";

const tag = z.string().transform((text, context): VersionTag => {
  const parsed = parseVersionTag(text);
  if (parsed) return parsed;
  context.addIssue({ code: "custom", message: "not a version's tag" });
  return z.NEVER;
});
const worker = z.strictObject({ worker: z.string().min(1), tag });

/** The format of these files. Any change of it changes `format`. */
const fileSchema = z.strictObject({
  format: z.literal("sallyport-deployed-1"),
  account: z.string().min(1),
  edge: worker,
  objects: worker,
});

export interface DeployedTags {
  readonly edge: VersionTag;
  readonly objects: VersionTag;
}

/** @returns the file's text */
export function formatDeployed({ account, workers }: Pick<Plan, "account" | "workers">, tags: DeployedTags): string {
  const content: z.input<typeof fileSchema> = {
    format: "sallyport-deployed-1",
    account,
    edge: { worker: workers.edge, tag: formatVersionTag(tags.edge) },
    objects: { worker: workers.objects, tag: formatVersionTag(tags.objects) },
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** @throws OperatorError if this is not such a file, or if it is about other Workers than the plan's */
export function readDeployed(file: string, { account, workers }: Pick<Plan, "account" | "workers">): DeployedTags {
  const advice = `--against names a file that a deploy (${DEPLOYED_FILE}) or a dry run (${DRY_RUN_FILE}) wrote`;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const fault = error instanceof SyntaxError ? "is not JSON" : "cannot be read";
    throw new OperatorError(`${file} ${fault}: ${advice}`);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw new OperatorError(`${file}: ${advice}\n${z.prettifyError(parsed.error)}`);
  const { data } = parsed;
  if (data.account !== account || data.edge.worker !== workers.edge || data.objects.worker !== workers.objects) {
    throw new OperatorError(
      `${file} is about ${data.edge.worker} in account ${data.account}, not about ${workers.edge} in ${account}: ` +
        "name a file of this deployment",
    );
  }
  return { edge: data.edge.tag, objects: data.objects.tag };
}
