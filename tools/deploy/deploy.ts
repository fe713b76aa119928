/** The steps of a deploy, one after the other; the first that fails is the last. */
import type { ServiceToken } from "../deployment/access.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { hostnamesOf, type Plan } from "../deployment/plan.ts";
import type { Http } from "../ports/http.ts";
import { type Wrangler, wranglerDatabase, wranglerOutput } from "../ports/wrangler.ts";
import { drain, LIVE_SQL, type LiveSession } from "./drain.ts";
import { appliedMigrations, compareMigrations } from "./migrations.ts";
import { smoke } from "./smoke.ts";
import { objectsWorkerName } from "./wrangler-configuration.ts";

export interface DeployOptions {
  readonly dryRun: boolean;
  readonly skipSmoke: boolean;
  /** An older checkout may go over a newer database: its schema stays. */
  readonly rollback: boolean;
  /** How long to wait for live sessions to end. */
  readonly drainMs: number | undefined;
}

export interface DeployInput {
  readonly plan: Plan;
  /** What is still to be filled in. */
  readonly placeholders: readonly string[];
  /** Paths of the generated configurations, as a person may type them. */
  readonly configurations: readonly string[];
  /** The database's binding in them. */
  readonly databaseBinding: string;
  /** Migration files of this checkout, in order. */
  readonly migrations: readonly string[];
  readonly serviceToken: ServiceToken | undefined;
}

export interface DeployDependencies {
  /** wrangler with the configuration of the edge. */
  readonly edge: Wrangler;
  /** wrangler with the configuration of the objects' Worker. */
  readonly objects: Wrangler;
  readonly http: Http;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  readonly print: (line: string) => void;
}

/** @throws OperatorError in words; what was done before stays done, and the next deploy goes on from there */
export async function deploy(input: DeployInput, options: DeployOptions, ports: DeployDependencies): Promise<void> {
  const { plan, placeholders, configurations } = input;
  const { print } = ports;
  print(`Deployment ${plan.name}: ${hostnamesOf(plan).join(", ")}`);
  if (placeholders.length > 0 && !options.dryRun) {
    throw new OperatorError(`not everything is filled in:\n${placeholders.map((line) => `  ${line}`).join("\n")}`);
  }
  print(`Wrote ${configurations.join(" and ")}.`);
  await bundle("the edge", ports.edge, print);
  await bundle("the objects' Worker", ports.objects, print);
  if (options.dryRun) {
    listPending(input, options, print);
    return;
  }
  const ask = wranglerDatabase(ports.edge, input.databaseBinding);
  await migrate(input, options, ask, ports);
  if (options.drainMs !== undefined) await waitForSessions(options.drainMs, ask, ports);
  // The edge binds the objects, so they must be there first.
  await upload("the objects' Worker", ports.objects, print);
  const version = await upload("the edge", ports.edge, print);
  if (options.skipSmoke) {
    print("Smoke check: skipped.");
    return;
  }
  print("Smoke check:");
  const { isGood, lines } = await smoke(plan, version, input.serviceToken, ports);
  for (const line of lines) print(line);
  if (!isGood) {
    throw new OperatorError(
      'the new version is deployed, but the smoke check failed; "npm run doctor" says more, "npx wrangler rollback" undoes it',
    );
  }
  print("Deployed.");
}

/** Before anything is changed: what cannot be bundled is not half deployed. */
async function bundle(what: string, wrangler: Wrangler, print: (line: string) => void): Promise<void> {
  print(`Bundling ${what} (wrangler deploy --dry-run) ...`);
  const finished = await wrangler(["deploy", "--dry-run"]);
  if (finished.code !== 0) throw new OperatorError(`wrangler could not bundle ${what}:\n${wranglerOutput(finished)}`);
  // What wrangler only warns of may be a field that it does not know.
  if (/WARNING/.test(finished.stderr)) print(finished.stderr.trim());
  const size = /Total Upload: .*/.exec(finished.stdout)?.[0];
  if (size) print(`  ${size}`);
}

function listPending(
  { placeholders, migrations, plan }: DeployInput,
  options: DeployOptions,
  print: (line: string) => void,
) {
  const steps = [
    ...placeholders.map((line) => `fill in: ${line}`),
    `apply those of these D1 migrations that ${plan.database.name} has not yet: ${migrations.join(", ")}`,
    ...(options.drainMs === undefined ? [] : ["wait until no session is live, or the time is over"]),
    `deploy the Workers ${objectsWorkerName(plan)} and ${plan.name} to account ${plan.account}`,
    ...(options.skipSmoke ? [] : [`check ${hostnamesOf(plan).join(", ")} from outside`]),
  ];
  print("Dry run: nothing was changed. Still to do:");
  for (const [index, step] of steps.entries()) print(`  ${index + 1}. ${step}`);
}

type Ask = ReturnType<typeof wranglerDatabase>;

async function migrate(input: DeployInput, options: DeployOptions, ask: Ask, ports: DeployDependencies): Promise<void> {
  const { print, edge: wrangler } = ports;
  const { pending, unknown } = compareMigrations(input.migrations, await appliedMigrations(ask));
  if (unknown.length > 0) {
    const words = `${input.plan.database.name} has migrations that this checkout does not know: ${unknown.join(", ")}`;
    if (!options.rollback) {
      throw new OperatorError(
        `${words}.\nA newer version has been deployed: check that one out. To go back to this one on purpose, add --rollback ` +
          "(the schema stays as it is; docs/UPGRADES.md says when that is safe).",
      );
    }
    print(`Going back: ${words}. They stay.`);
  }
  if (pending.length === 0) {
    print("D1: all migrations are applied.");
    return;
  }
  // Before the new code, which may need them; the old code lives with them, see docs/UPGRADES.md.
  print(`D1: applying ${pending.join(", ")} ...`);
  const finished = await wrangler(["d1", "migrations", "apply", input.databaseBinding, "--remote"]);
  if (finished.code !== 0) {
    throw new OperatorError(
      `a migration failed; the one that failed is not applied, those before it are. Nothing was deployed.\n${wranglerOutput(finished)}`,
    );
  }
  const { pending: left } = compareMigrations(input.migrations, await appliedMigrations(ask));
  if (left.length > 0) throw new OperatorError(`D1 still lacks ${left.join(", ")}. Nothing was deployed.`);
}

async function waitForSessions(patienceMs: number, ask: Ask, ports: DeployDependencies): Promise<void> {
  const { print } = ports;
  print(`Waiting up to ${Math.round(patienceMs / 60_000)} min for live sessions to end ...`);
  const left = await drain(patienceMs, { ...ports, live: () => ask<LiveSession>(LIVE_SQL) });
  print(
    left.length === 0
      ? "  No session is live."
      : `  Going on: ${left.length} will be cut, and recorded as interrupted.`,
  );
}

/** @returns the id of the version */
async function upload(what: string, wrangler: Wrangler, print: (line: string) => void): Promise<string | undefined> {
  print(`Deploying ${what} ...`);
  const finished = await wrangler(["deploy"]);
  if (finished.code !== 0) throw new OperatorError(`wrangler did not deploy ${what}:\n${wranglerOutput(finished)}`);
  const version = finished.records.find(({ type }) => type === "deploy")?.["version_id"];
  print(`  Version ${typeof version === "string" ? version : "unknown"}`);
  return typeof version === "string" ? version : undefined;
}
