/**
 * `npm run audit:verify`: checks the hash chain of the record and names every broken link.
 *
 *   npm run audit:verify                         the local stack's D1 (.sallyport)
 *   npm run audit:verify -- --state DIR          another local stack's
 *   npm run audit:verify -- --remote          the deployed D1, through wrangler, as the last npm run deploy left it
 *
 * Exit code 0 when the record is whole, 1 when it is not, 2 when it could not be read.
 */
import { parseArgs } from "node:util";
import { ChainVerifier, type Verdict } from "../audit/verify.ts";
import { localEvents, remoteEvents } from "./audit-source.ts";

const USAGE = "Usage: npm run audit:verify [-- --state DIR | --remote [--config FILE]]";
const MAX_SHOWN = 20;

function readFlags() {
  try {
    return parseArgs({
      options: {
        remote: { type: "boolean", default: false },
        config: { type: "string", default: "terraform/out/wrangler.json" },
        state: { type: "string", default: ".sallyport" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** What a person reads. */
function describeVerdict({ sessions, events, open, broken }: Verdict): string {
  const first = broken[0];
  const summary = `${sessions} sessions, ${events} events, ${open.length} without an end (live, or cut off)`;
  if (!first) return `The record is whole: ${summary}.`;
  const shown = broken
    .slice(0, MAX_SHOWN)
    .map(({ session_id, seq, fault }) => `  ${session_id} event ${seq}: ${fault}`);
  const more = broken.length > MAX_SHOWN ? [`  … and ${broken.length - MAX_SHOWN} more`] : [];
  return [
    `The record is BROKEN in ${broken.length} places (${summary}). First broken link first:`,
    ...shown,
    ...more,
  ].join("\n");
}

const flags = readFlags();
if (flags.help) {
  console.log(USAGE);
  process.exit(0);
}
try {
  const verifier = new ChainVerifier();
  const source = flags.remote ? remoteEvents(flags.config) : localEvents(flags.state);
  for (const event of source) verifier.add(event);
  const verdict = verifier.finish();
  console.log(describeVerdict(verdict));
  process.exitCode = verdict.broken.length === 0 ? 0 : 1;
} catch (error) {
  console.error(`audit:verify: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
