import { localEvents, remoteEvents } from "../../audit-source.ts";
import { describeVerdict, verifyEvents } from "../../audit-verify.ts";
import { wranglerDatabase, wranglerProcess } from "../../ports/wrangler.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { flag, projectPath } from "../options.ts";
import { stateFolder } from "../shared-options.ts";

export const auditVerify = defineCommand({
  options: {
    state: stateFolder,
    remote: flag("verify the deployed D1 database, through wrangler, instead of the local stack's"),
    config: projectPath("FILE", "wrangler configuration of the deployment", "terraform/out/wrangler.json"),
  },
  run: async ({ state, remote, config }, { print }) => {
    const deployed = () => remoteEvents(wranglerDatabase(wranglerProcess(config), "AUDIT_DB"));
    const verdict = await verifyEvents(remote ? deployed() : localEvents(state));
    print(describeVerdict(verdict));
    return verdict.broken.length === 0 ? EXIT_CODES.done : EXIT_CODES.failed;
  },
});
