/** How the address of a sign-in page reaches a person. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { errorCode } from "../common/errors.ts";
import type { Surroundings } from "./surroundings.ts";

export interface BrowserCommand {
  readonly program: string;
  /** The address follows as the last one. */
  readonly args: readonly string[];
}

export interface SignInMeans {
  /** Undefined: the address is only printed. */
  readonly browser?: BrowserCommand;
  /** Whether the address of the last page can be pasted, for a browser on another machine. */
  readonly canPaste: boolean;
  /** Whether anybody would see the page or its address. Where not, waiting for a sign-in would be a hang. */
  readonly isPossible: boolean;
}

/**
 * Decides how somebody could sign in. Pure, but for `isFile`.
 *
 * @param mayReadStdin whether standard input is the plugin's: kubectl may need it for `apply -f -`
 */
export function signInMeans(
  { env, platform, isStdinTerminal, isStderrTerminal }: Surroundings,
  mayReadStdin: boolean,
  isFile: (path: string) => boolean = existsSync,
): SignInMeans {
  const chosen = env["SALLYPORT_BROWSER"]?.trim() ?? "";
  const custom = chosen === "" || chosen === "none" ? undefined : commandOf(chosen, isFile);
  const browser = custom ?? (chosen === "none" ? undefined : systemBrowser(env, platform));
  // A runner with a desktop has nobody in front of it.
  const isAttended = isStderrTerminal || (browser !== undefined && (env["CI"] ?? "") === "");
  return {
    ...(browser && { browser }),
    canPaste: mayReadStdin && isStdinTerminal && isStderrTerminal,
    isPossible: custom !== undefined || isAttended,
  };
}

/**
 * A program, which may have spaces in its path, or a program with arguments; `"` quotes. There is no shell.
 */
function commandOf(text: string, isFile: (path: string) => boolean): BrowserCommand {
  if (isFile(text)) return { program: text, args: [] };
  const [program = text, ...args] = [...text.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
  return { program, args };
}

function systemBrowser(env: Surroundings["env"], platform: NodeJS.Platform): BrowserCommand | undefined {
  // It would open on the machine's own desktop, where the person is not.
  if (env["SSH_CONNECTION"] !== undefined || env["SSH_TTY"] !== undefined) return undefined;
  if (platform === "darwin") return { program: "open", args: [] };
  // `start` belongs to cmd.exe, which would interpret the address's "&".
  if (platform === "win32") return { program: "rundll32", args: ["url.dll,FileProtocolHandler"] };
  // Without a desktop xdg-open starts a text browser in the terminal.
  const hasDesktop = env["DISPLAY"] || env["WAYLAND_DISPLAY"];
  return hasDesktop ? { program: "xdg-open", args: [] } : undefined;
}

/**
 * Runs the browser command, without a shell.
 *
 * @param address https, as the caller has checked: some programs also open files
 * @returns resolves with what went wrong, or never: a browser may run as long as it likes
 */
export function openBrowser({ program, args }: BrowserCommand, address: string): Promise<string> {
  return new Promise((resolve) => {
    // A group of its own: Ctrl-C in the terminal must not end the person's browser.
    const child = spawn(program, [...args, address], { stdio: "ignore", detached: true, windowsHide: true });
    child.on("error", (error) => resolve(`${program} cannot be started (${errorCode(error)})`));
    child.on("exit", (code) => {
      if (code !== 0) resolve(`${program} ended with ${code === null ? "a signal" : `exit code ${code}`}`);
    });
    child.unref();
  });
}
