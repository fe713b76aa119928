/** The files with the stack's addresses, for other programs. */
import { rmSync } from "node:fs";
import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";
import { type StatePaths, writeFileAtomically } from "./files.ts";
import { renderKubeconfig, renderPluginKubeconfig } from "./kubeconfig.ts";
import type { LocalPlugin } from "./plugin.ts";
import type { Stack } from "./stack.ts";

/** Removes an earlier run's files, so that a program that waits for them does not read old addresses. */
export function removeAddresses(paths: StatePaths): void {
  for (const file of [paths.endpoints, paths.kubeconfig, paths.kubeconfigTls, paths.kubeconfigPlugin])
    rmSync(file, { force: true });
}

/** Writes the files. `endpoints.json` comes last: when it exists, everything is ready. */
export function writeAddresses(stack: Stack, plugin: LocalPlugin, paths: StatePaths): void {
  const servers = (scheme: "url" | "tlsUrl") =>
    Object.fromEntries(PERSONA_NAMES.map((name) => [name, stack.personas[name][scheme]])) as Record<
      PersonaName,
      string
    >;
  const certificateAuthority = stack.certificateAuthority;
  writeFileAtomically(paths.certificateAuthority, certificateAuthority);
  writeFileAtomically(paths.kubeconfig, renderKubeconfig({ servers: servers("url"), second: stack.second }));
  writeFileAtomically(paths.kubeconfigTls, renderKubeconfig({ servers: servers("tlsUrl"), certificateAuthority }));
  const { front } = stack;
  const inPlugin = { front, certificateAuthority, certificateAuthorityFile: paths.certificateAuthority, plugin };
  writeFileAtomically(paths.kubeconfigPlugin, renderPluginKubeconfig(inPlugin));
  const endpoints = {
    personas: stack.personas,
    d1: stack.d1Path,
    log: stack.logPath,
    access: { ...stack.access, certs: `${stack.access.issuer}/cdn-cgi/access/certs` },
    front,
    cron: stack.cronUrl,
    ...(stack.second && { second: stack.second }),
    cluster: { url: stack.upstreamUrl, embedded: stack.embedded, auditLog: stack.clusterAuditLog },
  };
  writeFileAtomically(paths.endpoints, `${JSON.stringify(endpoints, null, 2)}\n`);
}
