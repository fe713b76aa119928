/** Where sign-ins are stored. Pure. */
import { createHash } from "node:crypto";
import { posix, win32 } from "node:path";
import { PluginFailure } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";

type Place = Pick<Surroundings, "env" | "platform" | "homeFolder">;

/** A folder's name on each system, and none that leads elsewhere or is a record's. */
const PROFILE = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The folder: `SALLYPORT_HOME`, or the one that the system has for an application's state. With
 * `SALLYPORT_PROFILE` a folder in it, so that somebody can be several people at one deployment.
 *
 * @throws PluginFailure for a profile's name that cannot be a folder's
 */
export function storeFolder(place: Place): string {
  const folder = place.env["SALLYPORT_HOME"] || systemFolder(place);
  const profile = place.env["SALLYPORT_PROFILE"];
  if (!profile) return folder;
  if (!PROFILE.test(profile)) {
    throw new PluginFailure("store", "SALLYPORT_PROFILE must be a name of at most 64 letters, digits, - and _");
  }
  return (place.platform === "win32" ? win32 : posix).join(folder, profile);
}

function systemFolder({ env, platform, homeFolder }: Place): string {
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

/**
 * The name of an application's file without its ending: its host for people, and a hash that keeps names
 * apart.
 */
export function recordName(applicationId: string): string {
  const host = new URL(applicationId).host.replace(/[^a-z0-9.-]/gi, "_").slice(0, 100);
  return `${host}-${createHash("sha256").update(applicationId).digest("hex").slice(0, 16)}`;
}
