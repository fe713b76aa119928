/** This machine's own kubectl. */
import * as z from "zod";
import { type Check, type Dependencies, fail, ok, skipped } from "../check.ts";
import { isAtLeast } from "../version.ts";

const schema = z.object({ clientVersion: z.object({ gitVersion: z.string() }) });
const VARIABLE = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS";

/** Only WebSockets are relayed: kubectl opens them since 1.31, and since 1.29 when told to. */
export function kubectlVersionCheck(
  { kubectl }: Pick<Dependencies, "kubectl">,
  env: Readonly<Record<string, string | undefined>>,
): Check {
  return {
    id: "kubectl-version",
    run: async () => {
      const { code, stdout } = await kubectl(undefined, ["version", "--client", "-o", "json"]);
      if (code === 127) return skipped("there is no kubectl here", "install kubectl 1.31 or later");
      if (code !== 0) return fail("kubectl does not say its version", "install kubectl 1.31 or later");
      const { gitVersion } = schema.parse(JSON.parse(stdout)).clientVersion;
      if (env[VARIABLE] === "false") {
        return fail(`${VARIABLE}=false makes kubectl speak SPDY`, "take the variable away");
      }
      if (isAtLeast(gitVersion, "1.31")) return ok(`kubectl ${gitVersion}`);
      if (isAtLeast(gitVersion, "1.29") && env[VARIABLE] === "true") {
        return ok(`kubectl ${gitVersion}, told to speak WebSocket; port-forward needs 1.31`);
      }
      return fail(`kubectl ${gitVersion} does not open WebSockets by itself`, "install kubectl 1.31 or later");
    },
  };
}
