/** `whoami`. */
import { flag } from "../../command-line/options.ts";
import { parseWhoami } from "../answers.ts";
import { callApi, callJson } from "../api.ts";
import { EXIT_CODES } from "../failure.ts";
import { columnsOf } from "../table.ts";
import { findTarget, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

const CALL = { method: "GET", path: "/-/whoami" } as const;

export const whoami = defineVerb({
  name: "whoami",
  summary: "Shows who you are to the deployment and to its cluster",
  options: { ...targetOptions, json: flag("print the whole answer as JSON") },
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings);
    if (values.json) {
      surroundings.print((await callApi(target, CALL)).trim());
      return EXIT_CODES.done;
    }
    const { identity, kind, cluster, rule, kubernetes, roles } = await callJson(target, CALL, parseWhoami);
    const rows: [string, string][] = [
      ["Identity", `${identity} (${kind})`],
      ["Deployment", target.origin],
      ["Cluster", cluster ?? "none of this host name"],
      ["Kubernetes user", kubernetes.user],
      ["Kubernetes groups", kubernetes.groups.join(", ") || "none"],
      ["Roles", roles.join(", ") || "none"],
      ["Rule", rule],
    ];
    surroundings.print(columnsOf(rows).join("\n"));
    return EXIT_CODES.done;
  },
});
