/** The two sides of the audit log, for commands that read both: D1, and the objects under `seals/`. */
import { join } from "node:path";
import { type Migration, readMigrations } from "../../dev/stack/migrations.ts";
import { localDatabase, type Query } from "../audit-source.ts";
import { readEndpoints } from "../deployment/local-stack.ts";
import { MIGRATIONS } from "../deployment/project.ts";
import { deployedConfiguration, PROJECT } from "../deployment/project-files.ts";
import { recordingsBucket, wranglerDatabase, wranglerProcess } from "../ports/wrangler.ts";
import { objectsInBucket, objectsInFolder, objectsOfLocalStack, type SealObjects } from "./objects.ts";

/** What a command's options say. */
export interface LogOptions {
  /** The folder of a local stack. */
  readonly state: string;
  /** The deployment instead of the local stack. */
  readonly remote: boolean;
  /** wrangler configuration of the deployment. */
  readonly config: string | undefined;
  /** A folder with downloaded seals instead of the bucket. */
  readonly seals: string | undefined;
}

export interface LogSource {
  readonly query: Query;
  readonly objects: () => SealObjects;
  readonly migrations: readonly Migration[];
}

export function openLog({ state, remote, config: given, seals }: LogOptions): LogSource {
  const migrations = readMigrations(join(PROJECT, MIGRATIONS));
  const config = remote ? deployedConfiguration(given) : "";
  const wrangler = wranglerProcess(config);
  const bucket = () =>
    remote ? objectsInBucket(wrangler, recordingsBucket(config)) : objectsOfLocalStack(readEndpoints(state).d1);
  return {
    query: remote ? wranglerDatabase(wrangler, "AUDIT_DB") : localDatabase(readEndpoints(state).d1),
    objects: () => (seals === undefined ? bucket() : objectsInFolder(seals)),
    migrations,
  };
}
