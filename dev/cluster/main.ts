import { parseArgs } from "node:util";
import { startEmbeddedCluster } from "./index.ts";
import { EMBEDDED_NOTE } from "./version.ts";

// node dev/cluster/main.ts --port N --state DIR: runs the embedded cluster until SIGINT or SIGTERM.
const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, state: { type: "string", default: ".sallyport/cluster" } },
});
const cluster = await startEmbeddedCluster({ port: Number(values.port), stateDir: values.state });
process.stdout.write(`${cluster.url}\n`);
process.stderr.write(`${EMBEDDED_NOTE}\nAudit log: ${cluster.auditLog}\n`);

let closing = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    void cluster.close().then(() => process.exit(0));
  });
}
