/** The steps of a deploy, one after the other. The first that fails is the last. */
import type { Migration } from "../../dev/stack/migrations.ts";
import type { ServiceToken } from "../deployment/access.ts";
import { ADMIN_CREDENTIALS_NOTE } from "../deployment/admin-api.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { hostnamesOf, type Plan } from "../deployment/plan.ts";
import { formatVersionTag, type VersionTag } from "../deployment/version-tag.ts";
import type { Cloudflare } from "../ports/cloudflare.ts";
import type { Http } from "../ports/http.ts";
import { wranglerDatabase, wranglerOutput } from "../ports/wrangler.ts";
import { type Build, buildWorker, type DeployedWorker } from "./build.ts";
import { askDeployed, type DeployedTags } from "./deployed-tags.ts";
import { type DrainDependencies, type Drained, LIVE_COUNT_SQL, MAX_PATIENCE_MS, whileDrained } from "./drain.ts";
import { lookUpHostName, wranglersToken } from "./host-names.ts";
import { migrateByStatement } from "./migrate-by-statement.ts";
import { appliedMigrations, compareMigrations } from "./migrations.ts";
import { decideObjects, describeObjects, type ObjectsDecision } from "./objects-decision.ts";
import { withSecretsFile } from "./secrets-file.ts";
import { smoke } from "./smoke.ts";

export interface DeployOptions {
  readonly dryRun: boolean;
  /** What a dry run compares with; undefined to compare with nothing. */
  readonly against: DeployedTags | undefined;
  readonly skipSmoke: boolean;
  /** Host names that the deploy may take from something else. */
  readonly takeOver: readonly string[];
  /** Applies migrations one statement at a time, where D1 does not split a file rightly. */
  readonly byStatement: boolean;
  /** Deploys an older checkout over a newer database, whose schema stays. */
  readonly rollback: boolean;
  /** Deploys the objects' Worker even if it has not changed. */
  readonly withObjects: boolean;
  /** Ends live sessions when the objects' Worker is deployed, instead of letting them end by themselves. */
  readonly endSessions: boolean;
  /** Secrets of the objects' Worker that this deploy sets, by name. All others stay as they are. */
  readonly objectsSecrets: Readonly<Record<string, string>> | undefined;
  /** Refuses new sessions until the deploy is over, and waits so long for live ones; undefined not to. */
  readonly drainMs: number | undefined;
}

export interface DeployInput {
  readonly plan: Plan;
  /** What is still to be filled in. */
  readonly placeholders: readonly string[];
  readonly edge: DeployedWorker;
  readonly objects: DeployedWorker;
  /** How long an object with live sessions keeps the old code. */
  readonly codeUpdateDelaySeconds: number;
  /** The database's binding in both configurations. */
  readonly databaseBinding: string;
  /** Migrations of this checkout, in order. */
  readonly migrations: readonly Migration[];
  readonly serviceToken: ServiceToken | undefined;
}

export interface DeployDependencies extends Pick<DrainDependencies, "interruptible"> {
  readonly http: Http;
  /** Makes a client of Cloudflare's API with a token. */
  readonly cloudflare: (token: string) => Cloudflare;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  readonly print: (line: string) => void;
  /** Undefined where the environment has no credentials for the admin API. */
  readonly drain: DrainDependencies["drain"] | undefined;
  /** Keeps what runs after the deploy, or would run after the dry run, for `--against`. */
  readonly save: (tags: DeployedTags) => void;
}

type Ask = ReturnType<typeof wranglerDatabase>;

/**
 * @throws OperatorError if a step fails; the steps before it stay done, and the next deploy continues there
 */
export async function deploy(input: DeployInput, options: DeployOptions, ports: DeployDependencies): Promise<void> {
  const { plan, placeholders, edge, objects } = input;
  const { print } = ports;
  print(`Deployment ${plan.name}: ${hostnamesOf(plan).join(", ")}`);
  if (placeholders.length > 0 && !options.dryRun) {
    throw new OperatorError(`not everything is filled in:\n${placeholders.map((line) => `  ${line}`).join("\n")}`);
  }
  const drain = options.dryRun ? undefined : await checkDrain(options, ports);
  const builds = await buildBoth(input, print);
  if (options.dryRun) {
    listSteps(input, builds, options, print);
    ports.save({ edge: builds.edge.tag, objects: builds.objects.tag });
    return;
  }
  const ask = wranglerDatabase(edge.wrangler, input.databaseBinding);
  const deployed = await askDeployed(objects.wrangler);
  await refuseTakeOver(input, options, ports);
  await migrate(input, options, ask, print);
  const decision = decideObjects(builds.objects.tag, deployed, forcedBy(options));
  print(describeObjects(objects.name, decision));
  const uploadBoth = (drained?: Drained) => uploadWorkers({ input, options, builds, decision, ask, ports }, drained);
  if (!drain) return uploadBoth();
  if (!decision.isDeployed || !decision.mayEndSessions) {
    print("No session ends, so nothing is drained.");
    return uploadBoth();
  }
  await whileDrained("a new version is being deployed", drain.patienceMs, { ...ports, drain: drain.drain }, uploadBoth);
}

interface Uploads {
  readonly input: DeployInput;
  readonly options: DeployOptions;
  readonly builds: { readonly edge: Build; readonly objects: Build };
  readonly decision: ObjectsDecision;
  readonly ask: Ask;
  readonly ports: DeployDependencies;
}

/** @param drained where new sessions are refused meanwhile */
async function uploadWorkers(
  { input, options, builds, decision, ask, ports }: Uploads,
  drained: Drained | undefined,
): Promise<void> {
  const { plan, edge, objects } = input;
  const { print } = ports;
  if (decision.isDeployed) {
    if (decision.mayEndSessions) {
      const live = drained ? (await drained.waitForSessions()).length : await countLive(ask);
      print(live === 0 ? "  No session is live." : `  ${live} live: ${endOfSessions(input, options)}.`);
    }
    // The edge binds the objects and sends them its plans, so they go first.
    const mode = options.endSessions ? IMMEDIATE : [];
    await withSecretsFile(options.objectsSecrets, (secrets) =>
      upload(objects, builds.objects.tag, [...mode, ...secrets], print),
    );
    drained?.checkInterrupted();
  }
  const version = await upload(edge, builds.edge.tag, [], print);
  ports.save({ edge: builds.edge.tag, objects: runningObjects(builds.objects.tag, decision) });
  if (options.skipSmoke) {
    print("Smoke check: skipped.");
    return;
  }
  drained?.checkInterrupted();
  print("Smoke check:");
  const { isGood, lines } = await smoke(plan, version, input.serviceToken, ports);
  for (const line of lines) print(line);
  if (!isGood) {
    throw new OperatorError(
      'the new version is deployed, but the smoke check failed; "npm run doctor" says more, docs/UPGRADES.md how to roll back',
    );
  }
  print("Deployed.");
}

/**
 * Looks whether the drain switch can be used, before anything is changed.
 *
 * @returns undefined where no drain is asked for
 * @throws OperatorError where it cannot
 */
async function checkDrain(
  { drainMs }: DeployOptions,
  { drain }: Pick<DeployDependencies, "drain">,
): Promise<{ readonly drain: DrainDependencies["drain"]; readonly patienceMs: number } | undefined> {
  if (drainMs === undefined) return undefined;
  if (drainMs > MAX_PATIENCE_MS) {
    throw new OperatorError("--drain-wait is too long: give at most 23h, because a drain lasts 24 hours at most");
  }
  if (!drain) throw new OperatorError(`--drain needs credentials. ${ADMIN_CREDENTIALS_NOTE}`);
  await drain.read();
  return { drain, patienceMs: drainMs };
}

/** Why the objects are deployed even if they have not changed, as part of a sentence. */
function forcedBy({ withObjects, objectsSecrets }: DeployOptions): string | undefined {
  if (objectsSecrets) return `${Object.keys(objectsSecrets).join(", ")} is set, which makes a new version`;
  return withObjects ? "--with-objects asks for it" : undefined;
}

function withSecrets({ objectsSecrets }: DeployOptions): string {
  return objectsSecrets ? `, with the secret ${Object.keys(objectsSecrets).join(", ")}` : "";
}

/** Overrides the deferred update of the generated configuration. */
const IMMEDIATE = ["--durable-objects-code-update-mode", "immediate"];

/** Builds both before anything is changed: what cannot be bundled must not be half deployed. */
async function buildBoth(
  { edge, objects }: DeployInput,
  print: (line: string) => void,
): Promise<{ readonly edge: Build; readonly objects: Build }> {
  print("Bundling both Workers (wrangler deploy --dry-run) ...");
  const workers = [edge, objects];
  // Waits for both, so that no wrangler is left running if one fails.
  const settled = await Promise.allSettled(workers.map(buildWorker));
  const [edgeBuild, objectsBuild] = settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  if (!edgeBuild || !objectsBuild) throw new RangeError("a Worker was not built");
  for (const [index, { tag, size, warnings }] of [edgeBuild, objectsBuild].entries()) {
    if (warnings) print(warnings);
    print(`  ${workers[index]?.name}: ${formatVersionTag(tag)}${size === undefined ? "" : `, ${size}`}`);
  }
  return { edge: edgeBuild, objects: objectsBuild };
}

function listSteps(
  input: DeployInput,
  builds: { readonly objects: Build },
  options: DeployOptions,
  print: (line: string) => void,
): void {
  const { placeholders, migrations, plan, edge, objects } = input;
  const deployed = options.against
    ? ({ state: "version", tag: options.against.objects } as const)
    : ({ state: "unknown", reason: "without --against FILE this dry run compares with nothing" } as const);
  const decision = decideObjects(builds.objects.tag, deployed, forcedBy(options));
  const steps = [
    ...placeholders.map((line) => `fill in: ${line}`),
    `look whether ${hostnamesOf(plan).join(", ")} lead elsewhere: ${options.takeOver.length === 0 ? "nothing is taken over" : `only ${options.takeOver.join(", ")} may be taken over`}`,
    `apply those of these D1 migrations that ${plan.database.name} has not yet: ${migrations.map(({ name }) => name).join(", ")}`,
    ...(decision.isDeployed && options.drainMs !== undefined
      ? ["refuse new sessions until the end, and wait until no session is live, or the time is over"]
      : []),
    ...(decision.isDeployed
      ? [
          `deploy the objects, ${objects.name}${withSecrets(options)}: live sessions are counted first; ${endOfSessions(input, options)}`,
        ]
      : []),
    `deploy the edge, ${edge.name}: no session ends`,
    ...(options.skipSmoke ? [] : [`check ${hostnamesOf(plan).join(", ")} from outside`]),
  ];
  print(describeObjects(objects.name, decision));
  print(`Dry run: nothing was changed. Still to do in account ${plan.account}:`);
  for (const [index, step] of steps.entries()) print(`  ${index + 1}. ${step}`);
}

/** wrangler takes over what a host name leads to without asking: it has no terminal here. */
async function refuseTakeOver({ plan, edge }: DeployInput, { takeOver }: DeployOptions, ports: DeployDependencies) {
  const hostnames = hostnamesOf(plan).filter((hostname) => !takeOver.includes(hostname));
  if (hostnames.length === 0) return;
  const cloudflare = ports.cloudflare(await wranglersToken(edge.wrangler));
  const taken: string[] = [];
  for (const hostname of hostnames) {
    const found = await lookUpHostName(hostname, { account: plan.account, edge: edge.name }, cloudflare, ports.http);
    if (found.state === "taken") taken.push(`  ${hostname} (${found.by})`);
  }
  if (taken.length === 0) return;
  throw new OperatorError(
    `host names already lead elsewhere:\n${taken.join("\n")}\nA deploy would replace that. Nothing was changed. Choose other ` +
      "names in clusters[].hostnames, or add --take-over NAME for each that this deployment may have.",
  );
}

async function migrate(
  input: DeployInput,
  options: DeployOptions,
  ask: Ask,
  print: (line: string) => void,
): Promise<void> {
  const names = input.migrations.map(({ name }) => name);
  const { pending, unknown } = compareMigrations(names, await appliedMigrations(ask));
  if (unknown.length > 0) {
    const finding = `${input.plan.database.name} has migrations that this checkout does not know: ${unknown.join(", ")}`;
    if (!options.rollback) {
      throw new OperatorError(
        `${finding}.\nA newer version has been deployed: check that one out. To go back to this one on purpose, add --rollback ` +
          "(the schema stays as it is; docs/UPGRADES.md says when that is safe).",
      );
    }
    print(`Going back: ${finding}. They stay.`);
  }
  if (pending.length === 0) {
    print("D1: all migrations are applied.");
    return;
  }
  // Before the new code, which may need them. The old code works with them, see docs/UPGRADES.md.
  print(`D1: applying ${pending.join(", ")} ...`);
  if (options.byStatement) {
    await migrateByStatement(input.migrations, pending, ask);
  } else {
    const finished = await input.edge.wrangler(["d1", "migrations", "apply", input.databaseBinding, "--remote"]);
    if (finished.code !== 0) {
      throw new OperatorError(
        "a migration failed; the one that failed is not applied, those before it are. Nothing was deployed. If D1 says that a " +
          `statement is incomplete, it split the file wrongly: add --migrate-by-statement.\n${wranglerOutput(finished)}`,
      );
    }
  }
  const { pending: left } = compareMigrations(names, await appliedMigrations(ask));
  if (left.length > 0) throw new OperatorError(`D1 still lacks ${left.join(", ")}. Nothing was deployed.`);
}

async function countLive(ask: Ask): Promise<number> {
  const [counted] = await ask<{ live: number }>(LIVE_COUNT_SQL);
  return counted?.live ?? 0;
}

/** What happens to live sessions, to follow a colon. */
function endOfSessions({ codeUpdateDelaySeconds }: DeployInput, { endSessions }: DeployOptions): string {
  if (endSessions) return "they are cut at once";
  const minutes = Math.ceil(codeUpdateDelaySeconds / 60);
  return `they go on with the old code, and are cut after ${Math.floor(minutes / 60)} h ${minutes % 60} min at the latest`;
}

/** @returns the id of the version, if wrangler reports it */
async function upload(
  { name, wrangler }: DeployedWorker,
  tag: VersionTag,
  more: readonly string[],
  print: (line: string) => void,
): Promise<string | undefined> {
  print(`Deploying ${name} ...`);
  const finished = await wrangler(["deploy", "--tag", formatVersionTag(tag), ...more]);
  if (finished.code !== 0) {
    throw new OperatorError(
      `wrangler did not deploy ${name}: ${adviceOn(wranglerOutput(finished))}.\n${wranglerOutput(finished)}`,
    );
  }
  const version = finished.records.find(({ type }) => type === "deploy")?.["version_id"];
  print(`  Version ${typeof version === "string" ? version : "unknown"}`);
  return typeof version === "string" ? version : undefined;
}

/** Cloudflare's codes whose texts do not say what to do. */
function adviceOn(output: string): string {
  if (/\b10196\b/.test(output)) {
    return "the API token may not bind VPC services: add the permission Connectivity Directory Bind, then deploy again";
  }
  return "fix what it says and deploy again";
}

function runningObjects(built: VersionTag, decision: ObjectsDecision): VersionTag {
  return decision.isDeployed ? built : decision.tag;
}
