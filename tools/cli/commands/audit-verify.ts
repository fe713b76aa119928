import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { assembledEvents, hasSeals, localEvents, remoteEvents } from "../../audit-source.ts";
import { describeSeam, describeVerdict, verifyEvents } from "../../audit-verify.ts";
import { assembleLog } from "../../seals/assemble.ts";
import { type LogSource, openLog } from "../../seals/source.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { logOptions } from "../shared-options.ts";

export const auditVerify = defineCommand({
  options: logOptions,
  notes: [
    "Reads D1 and, once a range is sealed, every object under seals/ in the bucket of recordings: hashes, manifests, and " +
      "each sealed row that D1 still has. Needs room for the audit log in the folder for temporary files.",
  ],
  run: async (options, { print }) => {
    const log = openLog(options);
    if (await hasSeals(log.query)) return await verifyOverTheSeam(log, print);
    const verdict = await verifyEvents(options.remote ? remoteEvents(log.query) : localEvents(options.state));
    print(describeVerdict(verdict));
    return verdict.broken.length === 0 ? EXIT_CODES.done : EXIT_CODES.failed;
  },
});

async function verifyOverTheSeam({ query, objects, migrations }: LogSource, print: (line: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), "sallyport-audit-"));
  const database = new DatabaseSync(join(folder, "audit.sqlite"));
  try {
    const source = objects();
    const report = await assembleLog(database, migrations, query, source);
    print(describeSeam(report, source.place));
    const verdict = await verifyEvents(assembledEvents(database));
    print(describeVerdict(verdict));
    return report.problems.length + verdict.broken.length === 0 ? EXIT_CODES.done : EXIT_CODES.failed;
  } finally {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
