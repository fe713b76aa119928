/** The operators' command, `npx sallyport`. See tools/sallyport.js for how it is started. */
import { readFileSync } from "node:fs";
import { maskOutput } from "../../common/text.ts";
import { COMMANDS } from "./commands.ts";
import { dispatch } from "./dispatch.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

process.exitCode = await dispatch(process.argv.slice(2), version, {
  commands: COMMANDS,
  env: process.env,
  // Names and messages of clusters, of the audit log and of other programs end up here.
  print: (line) => console.log(maskOutput(line)),
  note: (line) => console.error(maskOutput(line)),
});
