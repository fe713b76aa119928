/**
 * The operating system's keychain, through its own command: `security` of macOS, `secret-tool` of libsecret.
 *
 * Secrets pass through standard input and output only, because every user can read the arguments of a
 * process.
 */
import { spawn } from "node:child_process";
import type { Surroundings } from "../surroundings.ts";

export interface Keychain {
  /** @returns undefined where there is none, or the keychain does not answer */
  readonly read: (account: string) => Promise<string | undefined>;
  /** @returns whether it is stored, so that nobody loses a sign-in to a keychain that forgets */
  readonly write: (account: string, secret: string) => Promise<boolean>;
  readonly remove: (account: string) => Promise<void>;
}

const SERVICE = "kubectl-sallyport";
/** A locked keychain asks its user, who may not be there. */
const TIMEOUT_MS = 5_000;
/** `security -i` reads lines of at most 4096 bytes, and would take a longer one for two. */
const MAX_SECURITY_LINE_BYTES = 4_000;

/**
 * @returns undefined where the tokens stay in the file: elsewhere, and in a folder of one's own
 *   (`SALLYPORT_HOME`, `SALLYPORT_PROFILE`), since a keychain has one sign-in for each application
 */
export function keychainOf({ env, platform }: Pick<Surroundings, "env" | "platform">): Keychain | undefined {
  if (env["SALLYPORT_HOME"] || env["SALLYPORT_PROFILE"]) return undefined;
  if (platform === "darwin") return readingBack(macos(env));
  // Without a session bus there is no service to ask, and secret-tool would try to start one.
  if (platform === "linux" && env["DBUS_SESSION_BUS_ADDRESS"]) return readingBack(libsecret(env));
  return undefined;
}

function macos(env: Surroundings["env"]): Keychain {
  const attributes = (account: string) => ["-s", SERVICE, "-a", account];
  return {
    read: async (account) => {
      const { code, stdout } = await run(env, "security", ["find-generic-password", ...attributes(account), "-w"]);
      return code === 0 ? decode(stdout) : undefined;
    },
    write: async (account, secret) => {
      // Neither an account, which is an https address, nor base64 has anything that the command would
      // interpret.
      const line = ["add-generic-password", "-U", ...attributes(account), "-w", encode(secret)].join(" ");
      if (line.length > MAX_SECURITY_LINE_BYTES) return false;
      const { code } = await run(env, "security", ["-i"], `${line}\n`);
      return code === 0;
    },
    remove: async (account) => {
      await run(env, "security", ["delete-generic-password", ...attributes(account)]);
    },
  };
}

function libsecret(env: Surroundings["env"]): Keychain {
  const attributes = (account: string) => ["service", SERVICE, "account", account];
  return {
    read: async (account) => {
      const { code, stdout } = await run(env, "secret-tool", ["lookup", ...attributes(account)]);
      return code === 0 ? decode(stdout) : undefined;
    },
    write: async (account, secret) => {
      const args = ["store", `--label=kubectl-sallyport: ${account}`, ...attributes(account)];
      return (await run(env, "secret-tool", args, encode(secret))).code === 0;
    },
    remove: async (account) => {
      await run(env, "secret-tool", ["clear", ...attributes(account)]);
    },
  };
}

/**
 * Believes what it reads, not an exit code: `security -i` has one only for the last line that it could read.
 */
function readingBack(keychain: Keychain): Keychain {
  return {
    ...keychain,
    write: async (account, secret) =>
      (await keychain.write(account, secret)) && (await keychain.read(account)) === secret,
  };
}

function encode(secret: string): string {
  return Buffer.from(secret).toString("base64");
}

function decode(text: string): string {
  return Buffer.from(text.trim(), "base64").toString("utf8");
}

/** Never throws: a keychain that cannot be used is like one that has nothing. */
function run(
  env: Surroundings["env"],
  program: string,
  args: readonly string[],
  input?: string,
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      env,
      stdio: ["pipe", "pipe", "ignore"],
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.on("error", () => resolve({ code: null, stdout: "" }));
    child.on("close", (code) => resolve({ code, stdout }));
    // A command that ends at once does not read it.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}
