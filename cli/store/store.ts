/**
 * The stored sign-ins: one file for each application, whose tokens may be in the system's keychain instead.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Tokens } from "../tokens.ts";
import { writePrivateFile } from "./atomic-file.ts";
import { keychainOf } from "./keychain.ts";
import { type LockOptions, withLock } from "./lock.ts";
import { recordName, storeFolder } from "./paths.ts";
import { type ApplicationRecord, parseRecord, parseTokens, renderRecord, renderTokens } from "./record.ts";
import { retryPassing } from "./windows.ts";

/** A sign-in whose tokens have been read. */
export type CompleteRecord = ApplicationRecord & { readonly tokens: Tokens };

export interface Store {
  /** Where it is, for messages. */
  readonly folder: string;
  /** @returns undefined without a sign-in */
  readonly read: (applicationId: string) => Promise<CompleteRecord | undefined>;
  /** Every sign-in, without tokens: for what is known of other applications. */
  readonly list: () => Promise<readonly ApplicationRecord[]>;
  readonly write: (record: CompleteRecord) => Promise<void>;
  readonly remove: (applicationId: string) => Promise<void>;
  /** Does what only one process may do to an application's sign-in at a time. */
  readonly exclusively: <T>(applicationId: string, options: LockOptions, work: () => Promise<T>) => Promise<T>;
}

export function openStore(surroundings: Surroundings): Store {
  const folder = storeFolder(surroundings);
  const keychain = keychainOf(surroundings);
  const pathOf = (applicationId: string) => join(folder, `${recordName(applicationId)}.json`);
  const readRecord = (applicationId: string) => {
    const record = readFile(pathOf(applicationId));
    return record?.application === applicationId ? record : undefined;
  };
  return {
    folder,
    read: async (applicationId) => {
      const record = readRecord(applicationId);
      if (record === undefined) return undefined;
      const tokens = record.tokens ?? parseTokens((await keychain?.read(applicationId)) ?? "");
      return tokens && { ...record, tokens };
    },
    list: async () =>
      guard(folder, () => readdirIfAny(folder))
        .filter((name) => name.endsWith(".json"))
        .flatMap((name) => {
          const record = readFile(join(folder, name));
          // A file under another name is somebody's copy.
          return record && `${recordName(record.application)}.json` === name ? [withoutTokens(record)] : [];
        }),
    write: async (record) => {
      // Where the keychain did not work at the sign-in, nobody waits for it at each renewal.
      const isInFile = readRecord(record.application)?.tokens !== undefined;
      const isKept = !isInFile && (await keychain?.write(record.application, renderTokens(record.tokens))) === true;
      guard(folder, () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writePrivateFile(pathOf(record.application), renderRecord(isKept ? withoutTokens(record) : record));
      });
    },
    remove: async (applicationId) => {
      // Also where the tokens are in the file: the keychain may have older ones, of before it failed.
      await keychain?.remove(applicationId);
      guard(folder, () => retryPassing(() => rmSync(pathOf(applicationId), { force: true })));
    },
    exclusively: (applicationId, options, work) => {
      guard(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
      return withLock(join(folder, `${recordName(applicationId)}.lock`), options, work);
    },
  };
}

function readdirIfAny(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function withoutTokens({ tokens: _, ...record }: ApplicationRecord): ApplicationRecord {
  return record;
}

function readFile(path: string): ApplicationRecord | undefined {
  const text = guard(path, () => {
    try {
      const { mode } = statSync(path);
      if (process.platform !== "win32" && (mode & 0o077) !== 0) {
        throw new PluginFailure(
          "store",
          `other users can read the tokens in ${path}: run "chmod 600" on it, then log out, which revokes them`,
        );
      }
      // Another process may replace it at this moment.
      return retryPassing(() => readFileSync(path, "utf8"));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  });
  if (text === undefined) return undefined;
  const record = parseRecord(text);
  if (!record.ok) throw new PluginFailure("store", `${path} cannot be used: ${record.error}`);
  return record.value;
}

function guard<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PluginFailure) throw error;
    throw new PluginFailure("store", `cannot use ${path} (${errorCode(error)}): SALLYPORT_HOME names another folder`);
  }
}
