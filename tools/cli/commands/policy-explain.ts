import {
  nameAndValue,
  parsed,
  parsedTexts,
  requiredParsed,
  requiredText,
  text,
  texts,
} from "../../../command-line/options.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { ConfigError, loadConfig } from "../../../worker/config/load.ts";
import { describeReservedName } from "../../../worker/config/reserved-names.ts";
import { explain, explanationLines } from "../../../worker/policy/explain.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";

export const policyExplain = defineCommand({
  options: {
    as: requiredText("WHO", "an email address, or service:COMMON_NAME"),
    claim: parsedTexts("NAME=VALUE", "a claim of the token, dotted for nested ones", nameAndValue),
    group: texts("ID", "a group of the identity provider, by its id"),
    "group-name": texts("NAME", "a group of the identity provider, by its name or email address"),
    posture: texts("NAME", "a device posture check that succeeded"),
    "kubectl-as": parsed("USER", "what kubectl's --as would name: whom to act as in the cluster", headerText),
    "kubectl-as-group": parsedTexts("GROUP", "what kubectl's --as-group would name", headerText),
    grant: texts("NAME", "a grant that holds, as if it had been approved"),
    country: text("CODE", "country that the request comes from, such as DE"),
    host: text("NAME", "host name of the request; without it, that of the first cluster"),
    upgrade: text("NAME", "websocket, SPDY/3.1 or none; without it, websocket where the path opens a session"),
    "content-type": text("TYPE", "content type of the request, such as application/apply-patch+yaml"),
    config: text(
      "FILE",
      "a SALLYPORT_CONFIG document as JSON; without it, that of the last deploy or dry run, or else what " +
        "deployment.jsonc, or the example, would deploy",
    ),
  },
  positionals: {
    request: requiredParsed("'METHOD PATH'", "the request", readRequest),
  },
  notes: ["Example: npx sallyport policy-explain --as alice@example.com 'GET /api/v1/namespaces/demo/pods'"],
  run: async (options, context) => {
    const {
      as: who,
      claim: claims,
      group: groups,
      posture,
      country,
      host,
      upgrade,
      config,
      request,
      grant: grants,
    } = options;
    const more = {
      ...{ groupNames: options["group-name"], contentType: options["content-type"] },
      ...{ kubectlAs: options["kubectl-as"], kubectlAsGroups: options["kubectl-as-group"] },
    };
    // wrangler takes seconds to load: help and mistakes do not wait for it.
    const { readConfigDocument } = await import("../../policy-explain/config-document.ts");
    const document = readConfigDocument(config, context.note);
    const explanation = explain(
      { who, claims, groups, posture, grants, country, host, upgrade, ...more, ...request },
      parseConfig(document, context.note),
    );
    for (const line of explanationLines(explanation)) context.print(line);
    return explanation.isAllowed ? EXIT_CODES.done : EXIT_CODES.failed;
  },
});

/** Names in the cluster are printable ASCII, because they travel in HTTP headers. */
function headerText(given: string): Result<string, string> {
  return /^[\x20-\x7e]+$/.test(given) ? ok(given) : err("must be printable ASCII, as names in a cluster are");
}

function readRequest(given: string): Result<{ readonly method: string; readonly target: string }, string> {
  const [, method = "", target = ""] = /^(\S+)\s+(\/\S*)$/.exec(given) ?? [];
  return target === "" ? err("must look like 'GET /api/v1/pods'") : ok({ method, target });
}

/** @throws OperatorError with every fault of the document */
function parseConfig(document: unknown, note: (line: string) => void) {
  try {
    return loadConfig(document, (reserved) => note(describeReservedName(reserved)));
  } catch (error) {
    if (error instanceof ConfigError) throw new OperatorError(`fix the configuration first: ${error.message}`);
    throw error;
  }
}
