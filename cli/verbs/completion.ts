/** `completion`, and what completion scripts run. */
import { flag, oneOf, parsed } from "../../command-line/options.ts";
import { parseApprovals, parseOwnAccess } from "../access.ts";
import { parseSessionList } from "../answers.ts";
import { callApiAtOnce, callJson } from "../api.ts";
import { type Candidates, completionScript, type Given, KUBECTL_COMPLETE, SHELLS } from "../completion.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { readKubeconfigs } from "../kubeconfig/files.ts";
import { contextNames } from "../kubeconfig/read.ts";
import { isWholeId, liveSessionsPath } from "../sessions.ts";
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

/**
 * What completion asks for. It may be cut off, and nobody expects a sign-in from a tab. So it uses what is
 * stored, and neither signs in nor renews: a renewal whose answer nobody reads costs the sign-in (RFC 9700,
 * section 4.14.2).
 */
export function candidatesFrom(surroundings: Surroundings): Candidates {
  const silent: Surroundings = { ...surroundings, note: () => {} };
  const ask = async <T>(given: Given, path: string, parse: (value: unknown) => T | undefined) => {
    const target = await findTarget(targetValues(given), silent);
    return callJson(target, { method: "GET", path }, parse, callApiAtOnce);
  };
  return {
    contexts: async (given) => contextNames(await readKubeconfigs(silent, given.get("kubeconfig"))),
    sessions: async (given) => {
      const isAdmin = given.has("admin");
      const target = await findTarget(targetValues(given), silent, { isAdmin });
      const call = { method: "GET", path: liveSessionsPath(isAdmin) } as const;
      const { items } = await callJson(target, call, parseSessionList, callApiAtOnce);
      // A shell takes a word as it is: a server's own text could be a command there.
      return items.map(({ id }) => id).filter(isWholeId);
    },
    grants: async (given) => {
      const { grants } = await ask(given, "/-/access", parseOwnAccess);
      return grants.map(({ name }) => name).filter((name) => GRANT_NAME.test(name));
    },
    pending: async (given) => {
      const { pending } = await ask(given, "/-/approvals", parseApprovals);
      return pending.map(({ id }) => id).filter(isWholeId);
    },
    access: async (given) => {
      const { items } = await ask(given, "/-/access", parseOwnAccess);
      const open = items.filter(({ state }) => state === "pending" || state === "active");
      return open.map(({ id }) => id).filter(isWholeId);
    },
  };
}

/** As the configuration has them: see worker/config/grants.ts. */
const GRANT_NAME = /^[a-z0-9][a-z0-9._-]*$/;

function targetValues(given: Given) {
  return {
    context: given.get("context"),
    kubeconfig: given.get("kubeconfig"),
    server: given.get("server"),
    "certificate-authority": given.get("certificate-authority"),
  };
}
