/** `completion`, and what completion scripts run. */
import { flag, oneOf, parsed } from "../../command-line/options.ts";
import { callJson } from "../api.ts";
import { type Candidates, completionScript, KUBECTL_COMPLETE, SHELLS } from "../completion.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { readKubeconfigs } from "../kubeconfig/files.ts";
import { contextNames } from "../kubeconfig/read.ts";
import type { Session } from "../sessions.ts";
import type { Surroundings } from "../surroundings.ts";
import { findTarget } from "../target.ts";
import { defineVerb } from "../verb.ts";

export const completion = defineVerb({
  name: "completion",
  summary: "Prints a completion script for a shell",
  options: { kubectl: flag("print the file kubectl_complete-sallyport, with which kubectl completes this plugin") },
  positionals: { shell: parsed("SHELL", "bash, zsh or fish", oneOf(...SHELLS)) },
  notes: ['For "kubectl sallyport": put the output of --kubectl as kubectl_complete-sallyport on PATH, executable.'],
  run: async ({ kubectl, shell }, { print }) => {
    if (kubectl === (shell !== undefined)) throw new PluginFailure("usage", "name a shell, or give --kubectl");
    print((shell === undefined ? KUBECTL_COMPLETE : completionScript(shell)).trimEnd());
    return EXIT_CODES.done;
  },
});

/** What completion asks for. Never a sign-in: nobody expects one from a tab. */
export function candidatesFrom(surroundings: Surroundings): Candidates {
  const silent: Surroundings = {
    ...surroundings,
    env: { ...surroundings.env, SALLYPORT_BROWSER: "none" },
    isStdinTerminal: false,
    isStderrTerminal: false,
    note: () => {},
  };
  const target = { context: undefined, kubeconfig: undefined, server: undefined, "certificate-authority": undefined };
  return {
    contexts: async () => contextNames(await readKubeconfigs(silent).catch(() => [])),
    sessions: async () => {
      const found = await findTarget(target, silent);
      const { items } = await callJson<{ items: readonly Session[] }>(found, { method: "GET", path: "/-/sessions" });
      return items.map(({ id }) => id);
    },
  };
}
