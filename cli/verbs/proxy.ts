/** `proxy`. */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { flag, numberBetween, parsed, text } from "../../command-line/options.ts";
import { errorCode } from "../../common/errors.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { readTextIfAny } from "../kubeconfig/files.ts";
import { personalToken, serviceToken } from "../proxy/credentials.ts";
import { onParentEnd } from "../proxy/parent.ts";
import { startProxy } from "../proxy/server.ts";
import { writePrivateFile } from "../store/atomic-file.ts";
import { openStore } from "../store/store.ts";
import { findTarget, type Target, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

const SECRET_PATH_BYTES = 24;

export const proxy = defineVerb({
  name: "proxy",
  summary: "Serves the cluster on this machine, for CI and for tools that cannot run a plugin",
  options: {
    ...targetOptions,
    port: parsed("PORT", "port on 127.0.0.1 (default: any)", numberBetween(1, 65_535)),
    "service-token-file": text("FILE", 'a service token as JSON: {"clientId": "…", "clientSecret": "…"}'),
    "kubeconfig-out": text("FILE", "writes a kubeconfig for the proxy, and removes it at the end"),
    "outlive-parent": flag("go on when the process that has started it ends"),
  },
  notes: [
    "It prints its address when it is ready. The address ends with a secret path, so that other users of this machine " +
      "and web pages cannot use it.",
    "The credential is a service token, of --service-token-file or of the variables CF_ACCESS_CLIENT_ID and " +
      "CF_ACCESS_CLIENT_SECRET, and otherwise your own sign-in.",
  ],
  run: async (values, surroundings) => {
    const { print, note, env } = surroundings;
    const target = await findTarget(values, surroundings);
    const tokenFile = values["service-token-file"];
    if (tokenFile !== undefined && !target.application) {
      throw new PluginFailure(
        "usage",
        "--service-token-file goes with an https address: plain HTTP gets no credential",
      );
    }
    const service = serviceToken(env, tokenFile);
    // Plain HTTP gets no credential, whoever's it is.
    const credentials = (target.application && service) ?? personalToken(target);
    const file = values["kubeconfig-out"];
    if (file !== undefined) requireReplaceable(file);
    // Asked before anybody waits: a missing sign-in is told at once.
    await credentials.headers();
    const ended = untilEnd(values["outlive-parent"]);
    const running = await startProxy({
      origin: target.origin,
      certificateAuthority: target.certificateAuthority ?? (await storedAuthority(target)),
      credentials,
      port: values.port ?? 0,
      secretPath: `/${randomBytes(SECRET_PATH_BYTES).toString("base64url")}`,
      onFailure: note,
    });
    const kubeconfig = proxyKubeconfig(running.address);
    try {
      if (file !== undefined) write(file, kubeconfig);
      print(running.address);
      await ended;
    } finally {
      running.close();
      if (file !== undefined && readTextIfAny(file) === kubeconfig) rmSync(file, { force: true });
    }
    return EXIT_CODES.done;
  },
});

/** What was trusted at the sign-in. */
async function storedAuthority({ application, surroundings }: Target): Promise<string | undefined> {
  return application && (await openStore(surroundings).read(application.id))?.certificateAuthority;
}

/** Resolves at a signal, or when whoever started the proxy is gone. */
function untilEnd(outlivesParent: boolean): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
    if (!outlivesParent) onParentEnd(resolve);
  });
}

/**
 * It is removed at the end, so it must not be a kubeconfig that somebody has: a new file, or what a proxy has
 * left.
 */
function requireReplaceable(file: string): void {
  const text = readTextIfAny(file);
  if (text === undefined || isProxyKubeconfig(text)) return;
  throw new PluginFailure("usage", `${file} is not a proxy's kubeconfig, so it is left as it is: name a new file`);
}

function write(file: string, content: string): void {
  try {
    writePrivateFile(file, content);
  } catch (error) {
    throw new PluginFailure("proxy", `cannot write ${file} (${errorCode(error)})`);
  }
}

/**
 * Pure.
 *
 * @returns whether a file is one that a proxy has written, or has nothing in it, such as one of `mktemp`
 */
export function isProxyKubeconfig(text: string): boolean {
  const [server] = /"http:\/\/127\.0\.0\.1:\d+\/[\w-]+"/.exec(text) ?? [];
  return text.trim() === "" || (server !== undefined && text === proxyKubeconfig(server.slice(1, -1)));
}

/** It has the secret path, so it is as private as a credential. JSON, which every reader of YAML takes. */
export function proxyKubeconfig(server: string): string {
  const name = "sallyport-proxy";
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
