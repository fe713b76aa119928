import { existsSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { requiredText } from "../../../command-line/options.ts";
import { describeSeam } from "../../audit-verify.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { assembleLog } from "../../seals/assemble.ts";
import { openLog } from "../../seals/source.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { logOptions } from "../shared-options.ts";

export const auditRestore = defineCommand({
  options: { ...logOptions, out: requiredText("FILE", "the SQLite file to write; it must not exist") },
  notes: [
    "The file has D1's tables, views and triggers, and all rows: those that have left D1, from their seals, and those " +
      "that D1 has. Every query of docs/QUERIES.md works on it: sqlite3 FILE < query.sql. Nothing is written to D1.",
  ],
  run: async ({ out, ...options }, { print }) => {
    if (existsSync(out)) throw new OperatorError(`${out} exists: name a file that does not`);
    const { query, objects, migrations } = openLog(options);
    const source = objects();
    const report = await writeDatabase(out, (database) => assembleLog(database, migrations, query, source));
    if (report.seals.length > 0) print(describeSeam(report, source.place));
    print(`${out} has ${report.rowsInD1 + report.leftRows} rows.`);
    return report.problems.length === 0 ? EXIT_CODES.done : EXIT_CODES.failed;
  },
});

/** Half a log looks like a whole one, so a file that was not finished is removed. */
async function writeDatabase<T>(file: string, write: (database: DatabaseSync) => Promise<T>): Promise<T> {
  const database = new DatabaseSync(file);
  let isWritten = false;
  try {
    const result = await write(database);
    isWritten = true;
    return result;
  } finally {
    database.close();
    if (!isWritten) rmSync(file, { force: true });
  }
}
