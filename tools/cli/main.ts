/** The operators' command, `npx sallyport`. See tools/sallyport.js for how it is started. */
import { readFileSync } from "node:fs";
import { COMMANDS } from "./commands.ts";
import { dispatch } from "./dispatch.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

process.exitCode = await dispatch(process.argv.slice(2), version, {
  commands: COMMANDS,
  env: process.env,
  print: (line) => console.log(line),
  note: (line) => console.error(line),
});
