/** The kubectl of this machine. */
import * as z from "zod";
import { type Check, type Dependencies, failure, passed, skipped } from "../check.ts";
import { isAtLeast } from "../version.ts";

const schema = z.object({ clientVersion: z.object({ gitVersion: z.string() }) });
const VARIABLE = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS";
const INSTALL = "install kubectl 1.31 or later";

/**
 * kubectl uses WebSockets, the only protocol that is relayed: by default since 1.31, on request since 1.29.
 */
export function kubectlVersionCheck(
  { kubectl }: Pick<Dependencies, "kubectl">,
  env: Readonly<Record<string, string | undefined>>,
): Check {
  return {
    id: "kubectl-version",
    run: async () => {
      const { code, stdout } = await kubectl(undefined, ["version", "--client", "-o", "json"]);
      if (code === 127) return skipped("kubectl is not installed here", INSTALL);
      if (code !== 0) return failure("kubectl does not print its version", INSTALL);
      const { gitVersion } = schema.parse(JSON.parse(stdout)).clientVersion;
      if (env[VARIABLE] === "false") return failure(`${VARIABLE}=false makes kubectl use SPDY`, "unset the variable");
      if (isAtLeast(gitVersion, "1.31")) return passed(`kubectl ${gitVersion}`);
      if (isAtLeast(gitVersion, "1.29") && env[VARIABLE] === "true") {
        return passed(`kubectl ${gitVersion} with ${VARIABLE}=true; port-forward needs 1.31`);
      }
      return failure(`kubectl ${gitVersion} does not use WebSockets by default`, INSTALL);
    },
  };
}
