/** Where sign-ins are stored. Pure. */
import { createHash } from "node:crypto";
import { posix, win32 } from "node:path";
import type { Surroundings } from "../surroundings.ts";

/** The folder: `SALLYPORT_HOME`, or the one that the system has for an application's state. */
export function storeFolder({
  env,
  platform,
  homeFolder,
}: Pick<Surroundings, "env" | "platform" | "homeFolder">): string {
  const own = env["SALLYPORT_HOME"];
  if (own) return own;
  switch (platform) {
    case "win32":
      return win32.join(env["APPDATA"] || win32.join(homeFolder, "AppData", "Roaming"), "sallyport");
    case "darwin":
      return posix.join(homeFolder, "Library", "Application Support", "sallyport");
    default: {
      // The XDG specification says to ignore a relative path.
      const state = env["XDG_STATE_HOME"];
      const base = state?.startsWith("/") ? state : posix.join(homeFolder, ".local", "state");
      return posix.join(base, "sallyport");
    }
  }
}

/** The name of an application's file without its ending: its host for people, and a hash that keeps names apart. */
export function recordName(applicationId: string): string {
  const host = new URL(applicationId).host.replace(/[^a-z0-9.-]/gi, "_").slice(0, 100);
  return `${host}-${createHash("sha256").update(applicationId).digest("hex").slice(0, 16)}`;
}
