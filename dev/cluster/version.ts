import { arch, platform } from "node:process";

/** The Kubernetes release whose behaviour this follows, marked as an imitation. */
export const EMBEDDED_VERSION = "v1.36.2+sallyport-embedded";

/** The cluster's description of itself. */
export const EMBEDDED_NOTE =
  "Sallyport's embedded cluster: pods are plain processes of the user who started it, without any isolation. " +
  "For trying Sallyport, not for workloads.";

/** The document at /version. */
export function serverVersion(): object {
  return {
    major: "1",
    minor: "36",
    gitVersion: EMBEDDED_VERSION,
    gitCommit: "",
    gitTreeState: "",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "none",
    compiler: "none",
    platform: `${platform}/${arch === "x64" ? "amd64" : arch}`,
  };
}
